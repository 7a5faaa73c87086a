// A branch's whole life through @neondatabase/api-client; what it saw goes to stdout as one line of JSON.
import { createApiClient } from "@neondatabase/api-client";

const api = createApiClient({ apiKey: process.env.NEON_API_KEY, baseURL: process.env.NEON_API_HOST });
const project = process.env.PROJECT;
const finish = async ({ data }) => {
  for (const { id } of data.operations) {
    while (!["finished", "skipped"].includes((await api.getProjectOperation(project, id)).data.operation.status)) {
      await new Promise((wake) => setTimeout(wake, 20));
    }
  }
  return data;
};
const body = { branch: { name: "api-client" }, endpoints: [{ type: "read_write" }] };
const { branch, roles, databases } = await finish(await api.createProjectBranch(project, body));
const names = (await api.listProjectBranches({ projectId: project })).data.branches.map((b) => b.name);
const updated = await finish(await api.updateProjectBranch(project, branch.id, { branch: { name: "api-client-2" } }));
const where = { projectId: project, branch_id: branch.id, database_name: databases[0].name, role_name: roles[0].name };
const { uri } = (await api.getConnectionUri(where)).data;
const { role } = await finish(await api.resetProjectBranchRolePassword(project, branch.id, roles[0].name));
await finish(await api.restoreProjectBranch(project, branch.id, { source_branch_id: branch.parent_id }));
const state = (await api.getProjectBranch(project, branch.id)).data.branch.current_state;
await finish(await api.deleteProjectBranch({ projectId: project, branchId: branch.id }));
const status = await api.getProjectBranch(project, branch.id).catch((error) => error.response.status);
console.log(JSON.stringify({ names, name: updated.branch.name, uri, password: role.password, state, status }));
