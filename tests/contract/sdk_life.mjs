// A branch's whole life through @neon/sdk; what it saw goes to stdout as one line of JSON.
import { createNeonClient } from "@neon/sdk";

const neon = createNeonClient({
  apiKey: process.env.NEON_API_KEY,
  baseUrl: process.env.NEON_API_HOST,
  throwOnError: true,
  waitForReadiness: true,
  wait: { pollIntervalMs: 20 },
});
const projectId = process.env.PROJECT;
const main = await neon.branches.getDefault({ projectId });
const made = await neon.branches.createAndConnect({ projectId, name: "sdk", pooled: false });
const branch = { projectId, branchId: made.branch.id };
const ends = new Date(Date.now() + 864e5).toISOString();
const updated = await neon.branches.update({ ...branch, name: "sdk-2", expires_at: ends });
const listed = [];
for await (const b of neon.branches.list({ projectId })) listed.push(b.name);
const database = (await neon.postgres.databases.list(branch)).map((d) => d.name);
const role = (await neon.postgres.roles.list(branch)).map((r) => r.name);
await neon.postgres.databases.create({ ...branch, name: "sdk_db", owner_name: role[0] });
const compared = await neon.branches.compareSchema({ ...branch, databaseName: database[0], baseBranchId: main.id });
const reset = await neon.branches.resetFromParent(branch);
const connected = await neon.postgres.connectionString({ ...branch, databaseName: database[0], pooled: false });
const endpoint = (await neon.postgres.endpoints.list(branch))[0];
await neon.postgres.endpoints.suspend({ projectId, endpointId: endpoint.id });
await neon.branches.delete(branch);
const gone = await neon.branches.get(branch, { throwOnError: false });
console.log(JSON.stringify({
  uri: made.connectionString, name: updated.name, ends: updated.expires_at, listed, database, role,
  diff: compared.diff ?? "", same: reset.id === made.branch.id, sameUri: connected === made.connectionString, gone: gone.error.kind,
}));
