import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import type { Registry, StreamState } from '../../shared/registry/port.ts'
import { createDevice } from './registry-harness.ts'
import { connectTo, MariadbOfFile, openAt } from './registry-mariadb-harness.ts'

const mariadb = new MariadbOfFile()
const code = (value: string) => expect.objectContaining({ code: value }) as Error

async function open(overrides: Parameters<typeof openAt>[1] = {}): Promise<{ url: string; registry: Registry }> {
  const url = await mariadb.newDatabase()
  const registry = await openAt(url, overrides)
  onTestFinished(() => registry.close())
  return { url, registry }
}

function state(offset: number): StreamState {
  return { tenant: 'acme', device: 'p1', stream: 's', fields: {}, lastSeenMs: offset, log: 'l', partition: 0, offset }
}

/** The row of a device, by its whole key: nothing else is locked. */
const row = (device: string) => `tenant = 'acme' and device = '${device}' and stream = 's'`

/** Every kind of call, each of which must end. */
function everyCall(registry: Registry): Promise<unknown>[] {
  return [
    registry.verifySecret('acme/p1', 'x'),
    registry.getDevice('acme', 'p1'),
    registry.createDevices([{ tenant: 'acme', device: `new-${Math.random()}` }]),
    registry.pinFieldTypes([{ tenant: 'acme', stream: 's', field: 'f', type: 'float' }]),
    registry.writeState([state(9)]),
    registry.readState('acme', 'p1'),
    registry.audit({ who: 'a', action: 'b', subject: 'c' }),
  ]
}

/** Calls again, as those who use a registry do, until it answers. */
async function eventually<T>(call: () => Promise<T>): Promise<T> {
  return vi.waitFor(call, { timeout: 30_000, interval: 100 })
}

describe('MariaDB', () => {
  it('killed and started again: calls fail as unavailable meanwhile, and nothing that was answered for is gone', async () => {
    const { registry } = await open()
    const { secret } = await createDevice(registry, 'acme/p1')
    await registry.writeState([state(5)])
    const heard: string[] = []
    registry.onChange((name) => heard.push(name))
    const running = Promise.allSettled(Array.from({ length: 20 }, () => everyCall(registry)).flat())
    await mariadb.server.process.stop('SIGKILL')
    for (const { status, ...outcome } of await running) {
      if (status === 'rejected') expect(outcome).toEqual({ reason: code('registry_unavailable') })
    }
    for (const outcome of await Promise.allSettled(everyCall(registry))) {
      expect(outcome).toEqual({ status: 'rejected', reason: code('registry_unavailable') })
    }
    await mariadb.server.process.start()
    expect((await eventually(() => registry.verifySecret('acme/p1', secret)))?.name).toBe('acme/p1')
    const [kept] = await registry.readState('acme', 'p1')
    expect([5, 9]).toContain(kept?.offset)
    heard.splice(0)
    await createDevice(registry, 'acme/p2')
    expect(heard).toEqual(['acme/p2'])
  })

  it('away while another process changes: the change is heard when it is back', async () => {
    const { url, registry } = await open()
    const other = await openAt(url)
    onTestFinished(() => other.close())
    const heard = new Set<string>()
    registry.onChange((name) => heard.add(name))
    // The connections of this one are cut as soon as they come, so that it cannot look.
    const root = await mariadb.root()
    const mine = await connectTo(url)
    await createDevice(other, 'acme/p1')
    await mariadb.server.process.stop('SIGKILL')
    await mariadb.server.process.start()
    root.destroy()
    mine.destroy()
    // An attempt whose answer was lost may have made it.
    await eventually(async () => {
      if ((await other.getDevice('acme', 'p2')) === undefined) await createDevice(other, 'acme/p2')
    })
    await vi.waitFor(() => expect([...heard].sort()).toEqual(['acme/p1', 'acme/p2']), { timeout: 30_000 })
  })

  it('read-only: it can be opened and read, a write is unavailable, and works once it is writable', async () => {
    const { url, registry } = await open()
    await createDevice(registry, 'acme/p1')
    const root = await mariadb.root()
    await root.query('set global read_only = 1')
    try {
      await expect(registry.writeState([state(1)])).rejects.toThrow(code('registry_unavailable'))
      await expect(createDevice(registry, 'acme/p2')).rejects.toThrow(code('registry_unavailable'))
      const reader = await openAt(url)
      onTestFinished(() => reader.close())
      expect((await reader.getDevice('acme', 'p1'))?.device).toBe('p1')
    } finally {
      await root.query('set global read_only = 0')
    }
    await registry.writeState([state(1)])
    await createDevice(registry, 'acme/p2')
  })

  it('that hangs: every call ends within its bound, and works again afterwards', async () => {
    const { registry } = await open({ pool: { connections: 4, statementMs: 2_000 } })
    await createDevice(registry, 'acme/p1')
    const running = Array.from({ length: 10 }, () => everyCall(registry)).flat()
    mariadb.server.process.signal('SIGSTOP')
    try {
      const outcomes = await Promise.allSettled([...running, ...everyCall(registry)])
      const failed = outcomes.filter((outcome) => outcome.status === 'rejected')
      expect(failed.length).toBeGreaterThan(0)
      for (const { reason } of failed) expect(reason).toEqual(code('registry_unavailable'))
      for (const outcome of await Promise.allSettled(everyCall(registry))) {
        expect(outcome).toEqual({ status: 'rejected', reason: code('registry_unavailable') })
      }
    } finally {
      mariadb.server.process.signal('SIGCONT')
    }
    await eventually(() => registry.writeState([state(10)]))
    expect(await registry.readState('acme', 'p1')).toEqual([state(10)])
  })

  it('whose connections are killed one by one is asked again on new ones', async () => {
    const { registry } = await open()
    const root = await mariadb.root()
    for (let round = 0; round < 5; round++) {
      const connections = await root.query<{ id: bigint }[]>(
        "select id from information_schema.processlist where user = 'sluice' and id <> connection_id()",
      )
      for (const { id } of connections) await root.query(`kill ${id}`)
      await eventually(() => registry.writeState([state(round)]))
    }
    expect((await registry.readState('acme', 'p1')).map(({ offset }) => offset)).toEqual([4])
  })

  it('with a lock that is not given up: unavailable, and the others go on', async () => {
    const { url, registry } = await open()
    await registry.writeState([state(1)])
    const blocker = await connectTo(url)
    await blocker.query('begin')
    await blocker.query(`select * from device_state where ${row('p1')} for update`)
    const blocked = registry.writeState([state(2)])
    await registry.writeState([{ ...state(2), device: 'p2' }])
    await expect(blocked).rejects.toThrow(code('registry_unavailable'))
    await blocker.query('rollback')
    await registry.writeState([state(3)])
    expect(await registry.readState('acme', 'p1')).toEqual([state(3)])
  })

  it('that chooses a transaction to break a deadlock: it is repeated', async () => {
    const metrics = createMetrics({ defaults: false })
    const { url, registry } = await open({ metrics })
    await registry.writeState(['a', 'b'].map((device) => ({ ...state(1), device })))
    const other = await connectTo(url)
    await other.query('begin')
    // Heavier, so that the registry's is the one that is given up.
    await other.query('create temporary table weight (n int)')
    await other.query(`insert into weight values ${Array.from({ length: 500 }, () => '(1)').join()}`)
    await other.query(`update device_state set last_seen_ms = 7 where ${row('b')}`)
    const writing = registry.writeState(['a', 'b'].map((device) => ({ ...state(2), device })))
    const root = await mariadb.root()
    await eventually(async () => {
      expect(await root.query<unknown[]>('select * from information_schema.innodb_lock_waits')).toHaveLength(1)
    })
    await other.query(`update device_state set last_seen_ms = 7 where ${row('a')}`)
    await other.query('commit')
    await writing
    expect((await registry.readState('acme', 'b'))[0]?.offset).toBe(2)
    const conflicts = await metrics.getSingleMetric('sluice_registry_conflicts_total')?.get()
    expect(conflicts?.values[0]?.value).toBeGreaterThan(0)
  })
})

describe('the URL of MariaDB', () => {
  const opening = (change: (url: URL) => void) => {
    const url = new URL(mariadb.server.url)
    change(url)
    return openAt(url.href)
  }

  it('with a wrong password, user or database needs somebody to act, and shows no password', async () => {
    const wrong = opening((url) => (url.password = 'geheim%20wort'))
    await expect(wrong).rejects.toThrow(code('registry_refused'))
    await expect(wrong).rejects.not.toThrow('geheim')
    await expect(opening((url) => (url.username = 'nobody'))).rejects.toThrow(code('registry_refused'))
    await expect(opening((url) => (url.pathname = '/sluice_none'))).rejects.toThrow(code('registry_refused'))
    await expect(opening((url) => (url.pathname = '/mysql'))).rejects.toThrow(code('registry_refused'))
    await expect(opening((url) => (url.port = '1'))).rejects.toThrow(code('registry_unavailable'))
  })

  it.each(['', 'x', 'http://a/b', 'mariadb://u:geheim@/db', 'mariadb://u:geheim@host', 'mariadb://u:geheim@h/d?x=1'])(
    '%j is refused before anything is tried',
    async (url) => {
      await expect(openAt(url)).rejects.toThrow(code('setting_invalid'))
      await expect(openAt(url)).rejects.not.toThrow('geheim')
    },
  )
})

it('slow statements are counted and logged without their values', async () => {
  const metrics = createMetrics({ defaults: false })
  const lines: unknown[] = []
  const logger = createLogger('silent').child({}, { level: 'warn' })
  vi.spyOn(logger, 'warn').mockImplementation((line: unknown) => void lines.push(line))
  const { url, registry } = await open({ metrics, logger })
  await registry.writeState([state(1)])
  const blocker = await connectTo(url)
  await blocker.query('begin')
  await blocker.query('select * from device_state for update')
  const writing = registry.writeState([
    { ...state(2), fields: { geheim: { time: { ms: 1, ns: 0 }, value: 1, type: 'float' } } },
  ])
  await new Promise((resolve) => setTimeout(resolve, 300)) // longer than a statement may take without being slow
  await blocker.query('rollback')
  await writing
  const slow = await metrics.getSingleMetric('sluice_registry_slow_queries_total')?.get()
  expect(slow?.values[0]?.value).toBeGreaterThan(0)
  expect(JSON.stringify(lines)).toContain('insert into device_state')
  expect(JSON.stringify(lines)).not.toContain('geheim')
})
