import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AclEntry } from 'kafkajs'
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest'
import type { SluiceError } from '../../../shared/errors.ts'
import type { KafkaLogOptions } from '../../../shared/log/kafka/open.ts'
import type { TelemetryLog } from '../../../shared/log/port.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { codeOf, keyIn, PARTITIONS, RAW, record, startConsumer, textsOf } from '../../contract/log-harness.ts'
import { newPrefix, openOnKafka } from '../../contract/log-kafka-harness.ts'
import { PATIENCE } from '../../patience.ts'
import { MemoryFacts } from '../../fakes/memory-facts.ts'
import { KAFKA_USER, prepareSecurity, type KafkaSecurity } from '../../../load-tests/servers/kafka-security.ts'
import { startKafka, type Kafka } from '../../../load-tests/servers/kafka.ts'
import { withAdmin } from './leader-move.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-kafka-rights-'))
const password = randomUUID()
/** Whoever comes over the plain listener may do anything, and whoever logs in what rules allow. */
const AUTHORISER = `authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
`
const TOPICS = ['telemetry.raw', 'telemetry.dead-letter'] as const
let kafka: Kafka
let security: KafkaSecurity

beforeAll(async () => {
  security = await prepareSecurity(folder, password)
  kafka = await startKafka(folder, {
    brokers: 1,
    security: { ...security, properties: security.properties + AUTHORISER },
  })
})

afterAll(async () => {
  await kafka.stop()
  rmSync(folder, { recursive: true, force: true })
})

function open(prefix: string, options: Partial<KafkaLogOptions> = {}): Promise<TelemetryLog> {
  const sasl = { mechanism: 'scram-sha-512', username: KAFKA_USER, password: () => password } as const
  return openOnKafka({ brokers: [security.sasl] }, { prefix, sasl, ...options })
}

// The numbers of Kafka's protocol: kafkajs has names for them that an ES module cannot import.
const Resource = { topic: 2, group: 3 } as const
const Operation = { read: 3, write: 4, create: 5, alterConfigs: 11, describeConfigs: 10 } as const

/** What docs/deploy.md says that a login needs. */
async function allow(prefix: string, operations: readonly (keyof typeof Operation)[]): Promise<void> {
  const rule = (resourceType: number, resourceName: string, operation: number) =>
    ({
      ...{ resourceType, resourceName, operation, resourcePatternType: 3, permissionType: 3 },
      ...{ principal: `User:${KAFKA_USER}`, host: '*' },
    }) as AclEntry
  const topics = TOPICS.flatMap((name) => operations.map((one) => rule(Resource.topic, prefix + name, Operation[one])))
  const acl = [...topics, rule(Resource.group, `${prefix}worker`, Operation.read)]
  const any = { resourceType: 1, resourcePatternType: 1, operation: 1, permissionType: 1 } as const
  await withAdmin(kafka, async (admin) => {
    await admin.createAcls({ acl })
    // The controller takes them; those who ask are answered by the broker, which hears of them a moment later.
    await vi.waitFor(async () => {
      const { resources } = await admin.describeAcls({ ...any, principal: `User:${KAFKA_USER}` })
      const known = resources.flatMap(({ resourceName, acls }) => acls.map((one) => `${resourceName} ${one.operation}`))
      expect(known).toEqual(
        expect.arrayContaining(acl.map(({ resourceName, operation }) => `${resourceName} ${operation}`)),
      )
    }, PATIENCE)
  })
}

async function makeTopics(prefix: string): Promise<void> {
  const configEntries = [{ name: 'flush.messages', value: '1' }]
  const topics = TOPICS.map((name) => ({ topic: prefix + name, numPartitions: PARTITIONS, configEntries }))
  await withAdmin(kafka, (admin) => admin.createTopics({ topics }))
}

async function expectWorks(log: TelemetryLog): Promise<void> {
  await log.append(RAW, [record(keyIn(log, 0), 'one')])
  await log.append('telemetry.dead-letter', [record(keyIn(log, 0), 'one')])
  const consumer = await startConsumer(log)
  await consumer.until(1)
  expect(textsOf(consumer.batches)).toEqual(['one'])
  await consumer.commit([{ partition: 0, offset: 1 }])
  expect((await log.lag(RAW, 'worker'))[0]).toMatchObject({ committed: 1, records: 0 })
  expect((await log.offsets('telemetry.dead-letter'))[0]?.newest).toBeDefined()
  expect(await log.durability()).toMatchObject({ ok: true })
}

/** What the opening waits for first. */
async function waitsFor(prefix: string, options: Partial<KafkaLogOptions>): Promise<SluiceError | undefined> {
  const stop = new AbortController()
  let first: SluiceError | undefined
  const onWaiting = (reason: SluiceError | undefined) => {
    first ??= reason
    stop.abort()
  }
  expect(await codeOf(open(prefix, { signal: stop.signal, onWaiting, ...options }))).toBe('closed')
  return first
}

it('a topic that may not be made is named, with why', async () => {
  const prefix = newPrefix()
  const reason = await waitsFor(prefix, {})
  expect(reason).toMatchObject({ code: 'log_refused' })
  expect(reason?.message).toContain(`${prefix}telemetry.raw: TOPIC_AUTHORIZATION_FAILED`)
})

it('a topic that Kafka cannot make as it should be is named, with why', async () => {
  const prefix = newPrefix()
  await allow(prefix, ['read', 'write', 'describeConfigs', 'create'])
  const reason = await waitsFor(prefix, { replication: 3 })
  expect(reason).toMatchObject({ code: 'log_topic_refused' })
  expect(reason?.message).toContain(`${prefix}telemetry.raw: INVALID_REPLICATION_FACTOR`)
})

it('a login that may read, write and describe works with topics that others made', async () => {
  const prefix = newPrefix()
  await makeTopics(prefix)
  await allow(prefix, ['read', 'write', 'describeConfigs'])
  const log = await open(prefix, { managesTopics: false, facts: new MemoryFacts() })
  onTestFinished(() => log.close())
  await expectWorks(log)
})

it('a login that may create makes them; the retention that is changed later needs another right, and is told', async () => {
  const [prefix, facts, logger] = [newPrefix(), new MemoryFacts(), createLogger('silent')]
  await allow(prefix, ['read', 'write', 'describeConfigs', 'create'])
  const log = await open(prefix, { facts })
  onTestFinished(() => log.close())
  await expectWorks(log)
  const warn = vi.spyOn(logger, 'warn')
  const changed = { facts, logger, retention: { ageMs: 3_600_000 } }
  await (await open(prefix, changed)).close()
  const denied = expect.objectContaining({ topic: `${prefix}telemetry.raw`, code: 'log_refused' }) as object
  expect(warn).toHaveBeenCalledWith(denied, expect.stringContaining('log apply'))
  await allow(prefix, ['alterConfigs'])
  const next = await open(prefix, changed)
  onTestFinished(() => next.close())
  expect((await next.durability()).detail).not.toContain('retention.ms')
})
