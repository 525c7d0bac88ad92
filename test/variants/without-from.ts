import type { TelemetryLog } from '../../shared/log/port.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import { withMethods } from '../../load-tests/reference/overriding.ts'

/** Known-wrong: whoever owns a device takes every copy of what is handed on to it for new. */
export function withoutFrom<L extends Pick<TelemetryLog, 'consume'>>(log: L): L {
  const consume: TelemetryLog['consume'] = (options) => {
    return log.consume({
      ...options,
      onBatch: (batch, signal) => options.onBatch({ ...batch, records: batch.records.map(ofNowhere) }, signal),
    })
  }
  return withMethods(log, { consume })
}

function ofNowhere(record: LogRecord): LogRecord {
  const { from: _from, ...headers } = record.headers ?? {}
  return { ...record, headers }
}
