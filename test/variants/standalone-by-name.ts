import { EMBEDDED, runStandalone } from '../../services/standalone/main.ts'
import { byName } from './named-registry.ts'

/** A standalone that stores everything of a device under its name, whichever device has it. */
process.exitCode = await runStandalone(
  { lan: false },
  {
    ...EMBEDDED,
    openPorts: async (context) => {
      const ports = await EMBEDDED.openPorts(context)
      return { ...ports, registry: byName(ports.registry) }
    },
  },
)
