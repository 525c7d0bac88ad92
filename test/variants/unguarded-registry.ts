import type { Registry, StreamState } from '../../shared/registry/port.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'

/** Known-wrong: every state that is written replaces what is there, whatever its position in the log. */
export function unguardedRegistry(registry: Registry): Registry {
  const written = new Map<number, StreamState>()
  return overriding(registry, {
    async writeState(rows) {
      for (const row of rows) {
        const offset = 1_000_000 + written.size
        written.set(offset, row)
        await registry.writeState([{ ...row, offset }])
      }
    },
    readState: async (tenant, device) => {
      const states = await registry.readState(tenant, device)
      return states.map((state) => written.get(state.offset) ?? state)
    },
  })
}
