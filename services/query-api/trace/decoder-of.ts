import type { SeriesTable } from '../../../shared/decoders/decode.ts'
import { DecodedColumns } from '../../../shared/decoders/decoded.ts'
import { LineReader, linesOf } from '../../../shared/decoders/line-protocol.ts'
import { LINES_HEADER } from '../../../shared/record.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'

/**
 * What a record was decoded as: the decoder that its policy names, and behind `auto` what its payload is. `handed_on`: its
 * readings were decoded as part of another record. Null: nothing decodes it. Its policies are known to the table.
 */
export function decoderOf(record: LogRecord, table: SeriesTable): string | null {
  const { headers } = record
  if (headers?.['form'] !== undefined) return 'handed_on'
  if (headers?.[LINES_HEADER] !== undefined) return 'line_protocol'
  const series = table.streamOf(record)
  if (typeof series === 'string') return null
  const { decoder } = (table.decoder.policy = table.policies.of(record, series.stream))
  if (decoder !== 'auto') return decoder
  const failure = table.decoder.read('json', record.value, record, 0, series, new DecodedColumns())
  if (failure?.code !== 'payload_not_json') return failure?.code === 'payload_not_utf8' ? 'auto' : 'auto: json'
  return linesOf(new LineReader(), Buffer.from(record.value)) === undefined ? 'auto: plain' : 'auto: line_protocol'
}
