import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it, onTestFinished, vi } from 'vitest'
import { findCommand, installPackages } from '../../../load-tests/servers/tools.ts'
import type { KafkaLogOptions } from '../../../shared/log/kafka/open.ts'
import type { LogBatch } from '../../../shared/log/port.ts'
import { keyIn, PARTITIONS, RAW, record, startConsumer, textsOf } from '../../contract/log-harness.ts'
import { newPrefix, openOnKafka, useKafka } from '../../contract/log-kafka-harness.ts'
import { PATIENCE } from '../../patience.ts'

const cluster = useKafka(1)

beforeAll(() =>
  installPackages([{ command: 'kcat', package: 'kcat', why: 'another producer, which packs its batches' }]),
)

async function open(options: Partial<KafkaLogOptions> = {}) {
  const prefix = newPrefix()
  const log = await openOnKafka(cluster.kafka, { prefix, ...options })
  onTestFinished(() => log.close())
  return { log, topic: `${prefix}telemetry.raw` }
}

/** Lines of `key=value`, produced by kcat into a partition. */
async function produce(topic: string, codec: string, partition: number, lines: readonly string[]): Promise<void> {
  const [broker = ''] = cluster.kafka.brokers
  const args = ['-P', '-b', broker, '-t', topic, '-p', String(partition), '-K', '=', '-z', codec]
  const kcat = spawn(findCommand('kcat') ?? 'kcat', [...args, '-X', 'linger.ms=200'], {
    stdio: ['pipe', 'inherit', 'inherit'],
  })
  const gone = once(kcat, 'exit')
  kcat.stdin.end(lines.map((line) => `${line}\n`).join(''))
  expect(await gone).toEqual([0, null])
}

/** Where Kafka keeps partition 0. */
function segmentOf(topic: string): string {
  const data = join(cluster.folder, 'kafka-1', 'data', `${topic}-0`)
  return join(data, readdirSync(data).find((name) => name.endsWith('.log')) ?? '')
}

const seen = (batches: readonly LogBatch[], text: string) => () => textsOf(batches).includes(text)

it.each(['gzip', 'zstd', 'lz4', 'snappy'])('batches that another producer packed with %s are read', async (codec) => {
  const { log, topic } = await open()
  const consumer = await startConsumer(log)
  const values = Array.from({ length: 500 }, (_, i) => `{"value":${i},"text":"${'much the same '.repeat(10)}"}`)
  await produce(
    topic,
    codec,
    0,
    values.map((value) => `acme/pump-1=${value}`),
  )
  await consumer.until(values.length)
  expect(textsOf(consumer.batches)).toEqual(values)
  // The offsets of what comes behind are those of Kafka.
  await log.append(RAW, [record(keyIn(log, 0), 'behind')])
  await consumer.until(values.length + 1)
  expect(consumer.batches.at(-1)?.firstOffset).toBe(values.length)
})

it('batches that Sluice packed with zstd are read by others, and take a fraction of the room', async () => {
  const values = Array.from({ length: 500 }, (_, i) => `{"value":${i},"text":"${'much the same '.repeat(10)}"}`)
  const bytes: number[] = []
  for (const compression of ['none', 'zstd'] as const) {
    const { log, topic } = await open({ compression })
    await log.append(
      RAW,
      values.map((value) => record(keyIn(log, 0), value)),
    )
    const [broker = ''] = cluster.kafka.brokers
    const args = ['-C', '-b', broker, '-t', topic, '-p', '0', '-o', 'beginning', '-e', '-q', '-f', '%s\n']
    const read = execFileSync(findCommand('kcat') ?? 'kcat', args, { encoding: 'utf8' })
    expect(read.trim().split('\n')).toEqual(values)
    bytes.push(readFileSync(segmentOf(topic)).length)
  }
  const [plain = 0, packed = 0] = bytes
  expect(packed).toBeGreaterThan(0)
  expect(packed).toBeLessThan(plain / 5)
})

it('damage stops its own partition, says so, and goes on when it is mended', async () => {
  const { log, topic } = await open()
  const stuck: (string | undefined)[] = []
  await log.append(RAW, [record(keyIn(log, 0), 'whole'), record(keyIn(log, 1), 'whole 1')])
  await log.append(RAW, [record(keyIn(log, 0), 'damaged')])
  const file = segmentOf(topic)
  const whole = readFileSync(file)
  const flip = (byte: number) => {
    const bytes = Buffer.from(whole)
    bytes[whole.indexOf('damaged')] = byte
    // In place: Kafka keeps the file open.
    writeFileSync(file, bytes, { flag: 'r+' })
  }
  flip(0)
  const consumer = await startConsumer(log, {
    onStuck: (partition, error) => stuck.push(`${partition} ${error?.code}`),
  })
  await vi.waitUntil(() => stuck.length > 1, PATIENCE)
  expect(new Set(stuck)).toEqual(new Set(['0 log_corrupt']))
  await log.append(
    RAW,
    Array.from({ length: PARTITIONS }, (_, i) => record(keyIn(log, i), `others ${i}`)),
  )
  await vi.waitUntil(seen(consumer.batches, 'others 1'), PATIENCE)
  await vi.waitUntil(seen(consumer.batches, 'others 2'), PATIENCE)
  expect((await log.lag(RAW, 'worker')).map(({ partition }) => partition)).toEqual([0, 1, 2])
  expect(textsOf(consumer.batches)).not.toContain('others 0')
  flip('d'.charCodeAt(0))
  await vi.waitUntil(seen(consumer.batches, 'others 0'), { timeout: 2 * PATIENCE.timeout })
  expect(textsOf(consumer.batches.filter(({ partition }) => partition === 0))).toEqual(['whole', 'damaged', 'others 0'])
  expect(stuck.at(-1)).toBe('0 undefined')
})
