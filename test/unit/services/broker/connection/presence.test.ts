import { pino } from 'pino'
import { expect, it, onTestFinished, vi } from 'vitest'
import type { LimitHit } from '../../../../../services/broker/access/limit-reports.ts'
import { PresenceWriter, type SessionChange } from '../../../../../services/broker/connection/presence.ts'
import { SluiceError } from '../../../../../shared/errors.ts'
import { createMetrics } from '../../../../../shared/process/metrics.ts'
import type { DeviceLimitRecord, Presence, PresenceRecord } from '../../../../../shared/registry/presence-port.ts'

/** A registry's presence that can be away. */
class FakePresence implements Presence {
  away = false
  readonly rows: PresenceRecord[] = []
  readonly limits: DeviceLimitRecord[] = []
  readonly endedNodes: string[] = []
  of = async () => []
  ofAll = async () => []
  limitsAfter = async () => []
  limitsOf = async () => []

  async record(changes: readonly PresenceRecord[]) {
    this.#check()
    this.rows.push(...changes)
  }

  async recordLimits(limits: readonly DeviceLimitRecord[]) {
    this.#check()
    this.limits.push(...limits)
  }

  async endNode(node: string) {
    this.#check()
    this.endedNodes.push(node)
  }

  #check() {
    if (this.away) throw new SluiceError('registry_unavailable', 'gone')
  }
}

function open(hits: LimitHit[] = []) {
  const presence = new FakePresence()
  const takeLimits = () => hits.splice(0)
  const shared = { logger: pino({ level: 'silent' }), metrics: createMetrics({ defaults: false }) }
  const writer = new PresenceWriter({ presence, node: 'n1', takeLimits, ...shared })
  onTestFinished(() => writer.close())
  return { presence, writer }
}

function change(device: string, epoch: number, ended?: SessionChange['ended'], silence = 0): SessionChange {
  const principal = { kind: 'device' as const, name: `a/${device}`, tenant: 'a', device, uid: device }
  return { principal, clientId: 'c', epoch, address: '::1', silence: () => silence, ended }
}

it('of each session the last change is written', async () => {
  const { presence, writer } = open()
  writer.note(change('1', 5))
  writer.note(change('2', 6))
  writer.note(change('1', 5, 'keepalive'))
  await writer.flush()
  expect(presence.rows).toMatchObject([
    { device: '1', connected: false, reason: 'keepalive', node: 'n1' },
    { device: '2', connected: true, reason: undefined },
  ])
  await writer.flush()
  expect(presence.rows).toHaveLength(2)
})

it('the end of a session that was taken over does not end its successor', async () => {
  const { presence, writer } = open()
  writer.note(change('1', 7))
  writer.note(change('1', 5, 'takeover'))
  await writer.flush()
  expect(presence.rows).toMatchObject([{ epoch: 7, connected: true }])
})

it('what happens while the registry is away is written when it is back', async () => {
  const hit: LimitHit = { who: 'a/1', code: 'byte_rate', limit: 9, sinceMs: 1, lastMs: 2, count: 3 }
  const { presence, writer } = open([hit, { ...hit, who: 'app' }])
  presence.away = true
  await writer.start()
  writer.note(change('1', 5))
  await writer.flush()
  writer.note(change('1', 5, 'closed'))
  writer.note(change('2', 6))
  await writer.flush()
  presence.away = false
  await writer.flush()
  expect(presence.rows.map(({ device, connected }) => [device, connected])).toEqual([
    ['1', false],
    ['2', true],
  ])
  expect(presence.limits).toEqual([
    { tenant: 'a', device: '1', code: 'byte_rate', limit: 9, sinceMs: 1, lastMs: 2, count: 3 },
  ])
})

it('writes every second, and what is left at the end', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const { presence, writer } = open()
  await writer.start()
  expect(presence.endedNodes).toEqual(['n1'])
  writer.note(change('1', 5))
  await vi.advanceTimersByTimeAsync(1_000)
  expect(presence.rows).toHaveLength(1)
  writer.note(change('1', 5, 'shutdown'))
  await writer.close()
  expect(presence.rows).toHaveLength(2)
  expect(vi.getTimerCount()).toBe(0)
})

it('sessions of a dead node end, those of a node that was only asleep are written again', async () => {
  const { presence, writer } = open()
  writer.note(change('1', 5))
  writer.note(change('2', 6))
  writer.note(change('2', 6, 'closed'))
  presence.away = true
  writer.lose('n2')
  await writer.flush()
  presence.away = false
  await writer.flush()
  await writer.flush()
  expect(presence.endedNodes).toEqual(['n2'])
  presence.rows.length = 0
  writer.repeat()
  await writer.flush()
  expect(presence.rows).toMatchObject([{ device: '1', epoch: 5, connected: true }])
})

it('applications are no devices', async () => {
  const { presence, writer } = open()
  writer.note({ ...change('1', 5), principal: { kind: 'application', name: 'app', rules: [] } })
  await writer.flush()
  expect(presence.rows).toEqual([])
})

it('a session was last heard when something came, while it lasts and as it ended', async () => {
  const { presence, writer } = open()
  let silence = 3
  writer.note({ ...change('1', 5), silence: () => silence })
  const name = { tenant: 'a', device: '1', clientId: 'c' }
  const secondsAgo = (): number => Math.round((Date.now() - (writer.heard([name])[0] ?? Number.NaN)) / 1_000)
  expect(secondsAgo()).toBe(3)
  silence = 0
  expect(secondsAgo()).toBe(0)
  expect(writer.heard([{ ...name, clientId: 'other' }, name])[0]).toBeNull()
  writer.note(change('1', 5, 'keepalive', 90))
  await writer.flush()
  expect(Math.round((Date.now() - (presence.rows[0]?.sinceMs ?? 0)) / 1_000)).toBe(90)
  expect(writer.heard([name])).toEqual([null])
})
