import { once } from 'node:events'
import { EMBEDDED, runStandalone } from '../../services/standalone/main.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'

/** A fault point: from the first SIGUSR2 on no append of telemetry returns, from the second on they all go through. */
function stalling(log: TelemetryLog): TelemetryLog {
  let resumed: Promise<unknown> | undefined
  process.on('SIGUSR2', () => {
    resumed = resumed === undefined ? once(process, 'SIGUSR2') : undefined
  })
  const append: TelemetryLog['append'] = async (topic, records) => {
    if (topic === 'telemetry.raw') await resumed
    return log.append(topic, records)
  }
  return overriding(log, { append })
}

process.exitCode = await runStandalone(
  { lan: false },
  {
    ...EMBEDDED,
    openPorts: async (context) => {
      const ports = await EMBEDDED.openPorts(context)
      return { ...ports, log: stalling(ports.log) }
    },
  },
)
