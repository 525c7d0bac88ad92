import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { settingsOf, type TopicSpec } from '../../../../../shared/log/kafka/topic-settings.ts'
import { stateOf, type FoundTopic } from '../../../../../shared/log/kafka/topic-state.ts'

const spec = (replication: 1 | 3 = 3): TopicSpec => ({
  ...{ name: 'raw', partitions: 12, replication, maxBatchBytes: 8_000_000 },
  retention: { ageMs: 3_600_000 },
})

/** As Sluice makes it, but for these. */
function found(changed: Record<string, string>, other: Partial<FoundTopic> = {}, replication: 1 | 3 = 3): FoundTopic {
  const settings = new Map(Object.entries({ ...settingsOf(spec(replication)), ...changed }))
  return { partitions: 12, replication, brokers: replication, settings, unread: 0, ...other }
}

it('a topic as it was made is safe, and nothing is said of it', () => {
  for (const replication of [1, 3] as const) {
    const state = stateOf(spec(replication), found({}, {}, replication))
    expect(state).toMatchObject({ durability: { ok: true }, differences: [], unused: 0 })
    expect(state.retention).toEqual({ ageMs: 3_600_000, bytes: undefined })
  }
})

describe('what breaks the promise', () => {
  it.each([
    [{ 'cleanup.policy': 'compact' }, {}],
    [{ 'cleanup.policy': 'compact,delete' }, {}],
    [{ 'min.insync.replicas': '1' }, {}],
    [{ 'message.timestamp.type': 'LogAppendTime' }, {}],
    [{ 'unclean.leader.election.enable': 'true' }, {}],
    [{}, { replication: 2 }],
  ])('%o, %o is named', (changed, other) => {
    const { durability } = stateOf(spec(), found(changed, other))
    expect(durability.ok).toBe(false)
    expect(durability.detail).toContain(Object.keys(changed)[0] ?? 'replication')
  })

  it('one broker that does not flush, or a copy less than was asked for', () => {
    expect(stateOf(spec(1), found({ 'flush.messages': '9' }, {}, 1)).durability.ok).toBe(false)
    expect(stateOf(spec(3), found({ 'flush.messages': '1' }, { replication: 1, brokers: 1 })).durability.ok).toBe(false)
  })
})

it('retention, compression and more partitions are differences, and no error', () => {
  const changed = { 'retention.ms': '60000', 'compression.type': 'gzip', 'segment.ms': '5' }
  const state = stateOf(spec(), found(changed, { partitions: 24, unread: 7 }))
  expect(state).toMatchObject({ durability: { ok: true }, unused: 12, unread: 7, retention: { ageMs: 60_000 } })
  expect(state.differences).toEqual([
    'retention.ms is 60000 instead of 3600000',
    'compression.type is gzip instead of producer',
  ])
})

it('fewer partitions, and none, end the opening', () => {
  expect(() => stateOf(spec(), found({}, { partitions: 11 }))).toThrow(/11 partitions, but the log has 12/)
  expect(() => stateOf(spec(), found({}, { partitions: 0 }))).toThrow(/does not exist/)
})

it('whatever the settings are, a topic is a state', () => {
  const text = fc.oneof(fc.string(), fc.constantFrom('', '-1', '0', 'NaN', 'true', 'delete'))
  const names = fc.constantFrom(...Object.keys(settingsOf(spec())), 'unknown')
  const topics = fc.record({
    changed: fc.dictionary(names, text),
    partitions: fc.integer({ min: 12, max: 1_000 }),
    replication: fc.integer({ min: 1, max: 5 }),
  })
  fc.assert(
    fc.property(topics, ({ changed, ...other }) => {
      const { durability, unused, retention } = stateOf(spec(), found(changed, other))
      expect(unused).toBe(other.partitions - 12)
      expect(Number.isNaN(retention.ageMs)).toBe(false)
      if (durability.ok) expect(other.replication).toBeGreaterThanOrEqual(3)
    }),
  )
})
