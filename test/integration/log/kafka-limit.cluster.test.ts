import { ConfigResourceTypes } from 'kafkajs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { LETTER_ROOM_BYTES } from '../../../shared/dead-letter.ts'
import { RecordsTooLarge, type LogTopic, type TelemetryLog } from '../../../shared/log/port.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { keyIn, RAW, readAll, textsOf } from '../../contract/log-harness.ts'
import { newPrefix, openOnKafka, useKafka } from '../../contract/log-kafka-harness.ts'
import { withAdmin } from './leader-move.ts'

const cluster = useKafka(1)
const LIMIT = 20_000

async function limitTo(prefix: string, bytes: number, topic: LogTopic = RAW): Promise<void> {
  await withAdmin(cluster.kafka, (admin) =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: ConfigResourceTypes.TOPIC,
          name: prefix + topic,
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
  // The broker answers before it acts on it.
  await expect.poll(async () => (await settingsOf(prefix + topic)).get('max.message.bytes')).toBe(String(bytes))
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

async function settingsOf(topic: string): Promise<Map<string, string>> {
  const { resources } = await withAdmin(cluster.kafka, (admin) =>
    admin.describeConfigs({ includeSynonyms: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }] }),
  )
  const entries = resources[0]?.configEntries ?? []
  return new Map(entries.map(({ configName, configValue }) => [configName, configValue]))
}

describe('the topic of dead letters', () => {
  const DEAD: LogTopic = 'telemetry.dead-letter'

  it('takes a record of any size that the log takes, with its faults, also where an older version made it', async () => {
    const prefix = newPrefix()
    const first = await openOnKafka(cluster.kafka, { prefix })
    await first.close()
    const made = await settingsOf(prefix + DEAD)
    const bytes = Number(made.get('max.message.bytes'))
    expect(bytes).toBe(Number((await settingsOf(prefix + RAW)).get('max.message.bytes')) + LETTER_ROOM_BYTES)
    await withAdmin(cluster.kafka, (admin) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [
          {
            type: ConfigResourceTypes.TOPIC,
            name: prefix + DEAD,
            configEntries: [...made]
              .filter(([name]) => /^(retention|cleanup|compression|flush\.messages|segment\.bytes)/.test(name))
              .map(([name, value]) => ({ name, value: name === 'segment.bytes' ? '20000000' : value }))
              .concat([{ name: 'max.message.bytes', value: String(LIMIT) }]),
          },
        ],
      }),
    )
    const log = await openOnKafka(cluster.kafka, { prefix })
    onTestFinished(() => log.close())
    const raised = await settingsOf(prefix + DEAD)
    expect(raised.get('max.message.bytes')).toBe(String(bytes))
    // What somebody else has set stays.
    expect(raised.get('segment.bytes')).toBe('20000000')
    const large = text(log, 'large', 8 * 1024 * 1024 - 1_000)
    await log.append(RAW, [large])
    await log.append(DEAD, [{ ...large, headers: { faults: 'f'.repeat(LETTER_ROOM_BYTES - 100) } }])
    const [batch] = await readAll(log, 0, { topic: DEAD })
    expect(batch?.records[0]?.headers?.['faults']).toHaveLength(LETTER_ROOM_BYTES - 100)
  })
})
