// Sends the SQL of Neon's driver, which speaks HTTP, to the bench's stand-in for Neon's proxy (sql_over_http.py).
const real = globalThis.fetch;
globalThis.fetch = (url, init) => real(String(url).endsWith('/sql') ? process.env.BENCH_SQL_ENDPOINT : url, init);
