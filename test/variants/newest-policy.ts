import type { MemoryPolicies } from '../fakes/memory-policies.ts'
import type { Policies } from '../../shared/registry/policies-port.ts'

/** Known-wrong: records are decoded by the policies in force, whichever they name. */
export function newestPolicy(policies: MemoryPolicies, tenant: string): Pick<Policies, 'find'> {
  return {
    find: async (ids) => {
      const document = (await policies.read(tenant))?.document ?? {}
      return new Map(ids.map((id) => [id, document]))
    },
  }
}
