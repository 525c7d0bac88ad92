import { ConfigResourceTypes } from 'kafkajs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { RecordsTooLarge, type TelemetryLog } from '../../../shared/log/port.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { keyIn, RAW, readAll, textsOf } from '../../contract/log-harness.ts'
import { newPrefix, openOnKafka, useKafka } from '../../contract/log-kafka-harness.ts'
import { withAdmin } from './leader-move.ts'

const cluster = useKafka(1)
const LIMIT = 20_000

async function limitTo(prefix: string, bytes: number): Promise<void> {
  await withAdmin(cluster.kafka, (admin) =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: ConfigResourceTypes.TOPIC,
          name: `${prefix}telemetry.raw`,
          // The others stay as they are only when they are named.
          configEntries: [
            { name: 'max.message.bytes', value: String(bytes) },
            { name: 'flush.messages', value: '1' },
            { name: 'retention.ms', value: '-1' },
            { name: 'retention.bytes', value: '-1' },
            { name: 'compression.type', value: 'producer' },
          ],
        },
      ],
    }),
  )
}

function text(log: TelemetryLog, name: string, bytes: number): LogRecord {
  const value = Buffer.from(name.padEnd(bytes, '.'))
  return { key: keyIn(log, 0), value, ms: Date.now(), ns: 0, headers: undefined }
}

describe('a topic whose limit was lowered', () => {
  it('gets smaller batches; one record that does not fit alone is refused alone, until the limit is raised', async () => {
    const prefix = newPrefix()
    const log = await openOnKafka(cluster.kafka, { prefix })
    onTestFinished(() => log.close())
    await log.append(RAW, [text(log, 'before', 10)])
    await limitTo(prefix, LIMIT)
    const many = Array.from({ length: 30 }, (_, i) => text(log, `small ${i}`, 3_000))
    const large = text(log, 'large', LIMIT + 5_000)
    const mixed = [...many.slice(0, 15), large, ...many.slice(15)]
    const refusal: unknown = await log.append(RAW, mixed).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(RecordsTooLarge)
    expect([...(refusal as RecordsTooLarge).records]).toEqual([large])
    // Others of the same moment are not concerned.
    const both = [log.append(RAW, [large]).catch(() => 'refused'), log.append(RAW, [text(log, 'beside', 10)])]
    expect(await Promise.all(both)).toEqual(['refused', new Map([[0, 31]])])
    await limitTo(prefix, 8 * 1024 * 1024)
    await log.append(RAW, [large])
    const names = textsOf(await readAll(log, 0)).map((one) => one.replace(/\.+$/, ''))
    expect(names).toEqual(['before', ...many.map((_, i) => `small ${i}`), 'beside', 'large'])
  })
})
