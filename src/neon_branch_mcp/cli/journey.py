"""The journey of the guide as data: `users` is split into `users` and `user_addresses`."""

BRANCH = "split-user-addresses"

WRONG_MIGRATION = """\
CREATE TABLE user_addresses (
  user_id bigint PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  street text NOT NULL,
  city text,
  state text,
  zip text
);
INSERT INTO user_addresses (user_id, street, city, state, zip)
  SELECT id, street, city, state, zipcode FROM users WHERE street IS NOT NULL;
"""

MIGRATION = """\
CREATE TABLE user_addresses (
  user_id bigint PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  street text NOT NULL,
  city text,
  state text,
  zip text
);
INSERT INTO user_addresses (user_id, street, city, state, zip)
  SELECT id, street, city, state, zip FROM users WHERE street IS NOT NULL;
ALTER TABLE users DROP COLUMN street, DROP COLUMN city, DROP COLUMN state, DROP COLUMN zip;
"""

CHECK = {
    "name": "every address moved",
    "base_sql": "SELECT id, street, city, state, zip FROM users WHERE street IS NOT NULL",
    "branch_sql": "SELECT user_id, street, city, state, zip FROM user_addresses",
}
