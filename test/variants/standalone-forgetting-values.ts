import { EMBEDDED, runStandalone } from '../../services/standalone/main.ts'
import { keptInMemoryOnly } from './forgetful-kept-values.ts'

/** A standalone that decides from memory only where values of one time go. */
process.exitCode = await runStandalone(
  { lan: false },
  {
    ...EMBEDDED,
    openPorts: async (context) => {
      const ports = await EMBEDDED.openPorts(context)
      return { ...ports, registry: keptInMemoryOnly(ports.registry) }
    },
  },
)
