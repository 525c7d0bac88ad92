import { overriding, withMethods } from '../../load-tests/reference/overriding.ts'
import { EMBEDDED, runStandalone } from '../../services/standalone/main.ts'
import type { Decoders } from '../../shared/registry/decoders-port.ts'

/** Decodes by whichever decoder was uploaded last, and not by the one that a record names. */
function newest(decoders: Decoders): Decoders {
  const find: Decoders['find'] = async (ids) => {
    const [last] = (await decoders.list()).toSorted((a, b) => b.atMs - a.atMs)
    const found = last === undefined ? undefined : await decoders.read(last.scope, last.name)
    return new Map(found === undefined ? [] : ids.map((id) => [id, found]))
  }
  return overriding(decoders, { find })
}

process.exitCode = await runStandalone(
  { lan: false },
  {
    ...EMBEDDED,
    openPorts: async (context) => {
      const ports = await EMBEDDED.openPorts(context)
      return { ...ports, registry: withMethods(ports.registry, { decoders: newest(ports.registry.decoders) }) }
    },
  },
)
