import { EMBEDDED, runStandalone } from '../../services/standalone/main.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'

/** Known-wrong: an acknowledgement leaves 50 ms before its record is appended. */
const APPEND_AFTER_MS = 50

function acknowledgeFirst(log: TelemetryLog): TelemetryLog {
  const append: TelemetryLog['append'] = (topic, records) => {
    setTimeout(() => void log.append(topic, records), APPEND_AFTER_MS)
    return Promise.resolve(new Map())
  }
  return overriding(log, { append })
}

process.exitCode = await runStandalone(
  { lan: false },
  {
    ...EMBEDDED,
    openPorts: async (context) => {
      const ports = await EMBEDDED.openPorts(context)
      return { ...ports, log: acknowledgeFirst(ports.log) }
    },
  },
)
