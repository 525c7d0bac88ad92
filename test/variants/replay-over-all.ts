import type { TelemetryLog } from '../../shared/log/port.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import { withMethods } from '../../load-tests/reference/overriding.ts'

/** Known-wrong: whoever owns a device stores what was replayed over whatever is there. */
export function replayOverAll<L extends Pick<TelemetryLog, 'consume'>>(log: L): L {
  const consume: TelemetryLog['consume'] = (options) => {
    return log.consume({
      ...options,
      onBatch: (batch, signal) => options.onBatch({ ...batch, records: batch.records.map(asIfNew) }, signal),
    })
  }
  return withMethods(log, { consume })
}

function asIfNew(record: LogRecord): LogRecord {
  const { replay: _replay, ...headers } = record.headers ?? {}
  return { ...record, headers }
}
