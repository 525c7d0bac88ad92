import { newApiKey } from '../../shared/registry/credentials.ts'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Registry, StreamState } from '../../shared/registry/port.ts'
import type { FieldType } from '../../shared/telemetry.ts'
import { createDevice } from './registry-harness.ts'
import { checkSlotsTakeTurns } from './registry-stamp-slots-contract.ts'
import { connectTo, MariadbOfFile, openAt } from './registry-mariadb-harness.ts'
import { PATIENCE } from '../patience.ts'

const mariadb = new MariadbOfFile()
const code = (value: string) => expect.objectContaining({ code: value }) as Error

/** Registries with pools of their own on one database, as processes of a cluster have. */
async function openShared(count: number): Promise<{ url: string; registries: Registry[] }> {
  const url = await mariadb.newDatabase()
  const registries = await Promise.all(Array.from({ length: count }, () => openAt(url)))
  for (const registry of registries) onTestFinished(() => registry.close())
  return { url, registries }
}

const name = (device: string) => ({ tenant: 'acme', device })

describe('processes that share a registry', () => {
  it('migrate it once, whoever comes first, and all go on', async () => {
    const { url, registries } = await openShared(4)
    await Promise.all(registries.map((registry, index) => createDevice(registry, `acme/p${index}`)))
    const admin = await connectTo(url)
    const done = await admin.query<{ name: string }[]>('select name from kysely_migration order by name')
    expect(done.map(({ name }) => name.slice(0, 4))).toEqual(done.map((_, index) => String(index + 1).padStart(4, '0')))
    expect(done.length).toBeGreaterThanOrEqual(3)
    const key = newApiKey()
    expect(await registries[0]?.setAdminKey(key)).toBe(true)
    expect(await registries[1]?.setAdminKey(key)).toBe(false)
  })

  it('go on where a migration was killed half way', async () => {
    const url = await mariadb.newDatabase()
    await (await openAt(url)).close()
    const admin = await connectTo(url)
    for (const table of ['kysely_migration', 'kysely_migration_lock']) await admin.query(`delete from ${table}`)
    for (const table of ['field_types', 'audit_log', 'registry_changes']) await admin.query(`drop table ${table}`)
    await admin.query('drop index credentials_by_principal on credentials')
    const registry = await openAt(url)
    onTestFinished(() => registry.close())
    await createDevice(registry, 'acme/p1')
    await registry.audit({ who: 'a', action: 'b', subject: 'c' })
    expect(await admin.query("show index from credentials where Key_name = 'credentials_by_principal'")).toHaveLength(1)
  })

  it('know within seconds which devices another has put under watch', async () => {
    const { registries } = await openShared(2)
    const [one, two] = registries.map(({ watches }) => watches)
    const epoch = two?.epoch ?? 0
    await one?.put({ tenant: 'acme', uid: 'd', untilMs: 5, who: 'admin' })
    await vi.waitUntil(() => two?.untilMs('acme', 'd') === 5, PATIENCE)
    expect(two?.epoch).toBeGreaterThan(epoch)
  })

  it('make each device once, however many try, in whatever order', async () => {
    const { registries } = await openShared(3)
    const devices = Array.from({ length: 60 }, (_, index) => name(`d${index}`))
    const tries = registries.flatMap((registry, which) =>
      [devices, devices.toReversed(), devices.slice(which * 20)].map((list) => registry.createDevices(list)),
    )
    const outcomes = await Promise.allSettled(tries)
    const made = outcomes.filter((outcome) => outcome.status === 'fulfilled')
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
    expect(made).toHaveLength(1)
    for (const { reason } of refused) expect(reason).toEqual(code('already_exists'))
    const credentials = made.flatMap(({ value }) => value)
    for (const { username, secret } of credentials) {
      expect((await registries[2]?.verifySecret(username, secret))?.name).toBe(username)
    }
    expect((await registries[0]?.listDevices({ limit: 1000 }))?.items).toHaveLength(credentials.length)
  })

  it('agree on the types of fields', async () => {
    const { registries } = await openShared(4)
    const types: FieldType[] = ['float', 'integer', 'string', 'boolean']
    const fields = Array.from({ length: 200 }, (_, index) => ({ tenant: 'acme', stream: 's', field: `f${index}` }))
    const answers = await Promise.all(
      registries.map((registry, index) => {
        const order = index % 2 === 0 ? fields : fields.toReversed()
        return registry.pinFieldTypes(order.map((field) => ({ ...field, type: types[index] ?? 'float' })))
      }),
    )
    const inOrder = answers.map((answer, index) => (index % 2 === 0 ? answer : answer.toReversed()))
    for (const answer of inOrder) expect(answer).toEqual(inOrder[0])
  })

  it('write the state of the same streams at once, and the latest stands, whole', async () => {
    const { registries } = await openShared(3)
    const devices = Array.from({ length: 300 }, (_, index) => `d${index}`)
    const rows = (offset: number): StreamState[] =>
      devices.map((device) => {
        const fields = { offset: { time: { ms: offset, ns: 0 }, value: offset, type: 'float' as const } }
        return { tenant: 'acme', device, stream: 's', fields, lastSeenMs: offset, log: 'l', partition: 1, offset }
      })
    const shuffled = (offset: number) => rows(offset).sort(() => Math.random() - 0.5)
    const writes = Array.from({ length: 30 }, async (_, index) => registries[index % 3]?.writeState(shuffled(index)))
    await Promise.all(writes)
    expect(await registries[0]?.readStreams(rows(29))).toEqual(rows(29))
  })

  it('change the slots of stamps one at a time', async () => {
    const { registries } = await openShared(3)
    await checkSlotsTakeTurns(registries)
  })

  it('hear what the others changed, and their own changes once', async () => {
    const { registries } = await openShared(2)
    const [one, two] = registries
    if (one === undefined || two === undefined) throw new Error('two were opened')
    const heard: string[][] = [[], []]
    for (const [index, registry] of registries.entries()) registry.onChange((changed) => heard[index]?.push(changed))
    await createDevice(one, 'acme/p1')
    await two.createApplication('dash', [])
    await one.removeDevice('acme', 'p1')
    await two.createDevices(Array.from({ length: 700 }, (_, index) => name(`d${index}`)))
    await vi.waitFor(() => expect(heard.map((names) => new Set(names).size)).toEqual([702, 702]), PATIENCE)
    await one.removeApplication('dash')
    await vi.waitFor(() => expect(heard[1]?.at(-1)).toBe('dash'), PATIENCE)
    // Of changes of one name between two looks the last is told; of one's own each, and no echo.
    expect(heard[1]?.filter((one) => one === 'acme/p1').length).toBeLessThanOrEqual(2)
    expect(heard[0]?.filter((one) => one === 'acme/p1')).toHaveLength(2)
    expect(heard[0]).toHaveLength(704)
  })

  it('hear of everything when the database was put back', async () => {
    const { url, registries } = await openShared(2)
    const [one, two] = registries
    await one?.createDevices([name('p1'), name('p2'), name('p3')])
    const heard: string[] = []
    const seen = Promise.withResolvers<void>()
    two?.onChange((changed) => {
      heard.push(changed)
      if (changed === 'acme/p4') seen.resolve()
    })
    await one?.createDevices([name('p4')])
    await seen.promise
    heard.splice(0)
    const admin = await connectTo(url)
    await admin.query("delete from registry_changes where name in ('acme/p4', 'acme/p3')")
    await admin.query('update registry_revision set revision = 2')
    await vi.waitFor(() => expect(heard).toEqual(['acme/p1', 'acme/p2']), PATIENCE)
  })
})

describe('what reaches the database', () => {
  it('never compares a name by its value', async () => {
    const { registries } = await openShared(1)
    const [registry] = registries
    await registry?.createDevices([name('pump'), name('00'), name('1e0')])
    const zero = 0 as unknown as string // what a caller without types may hand over
    expect(await registry?.getDevice('acme', zero)).toBeUndefined()
    expect(await registry?.getDevice('acme', 1 as unknown as string)).toBeUndefined()
    expect(await registry?.readState('acme', zero)).toEqual([])
    await expect(registry?.removeDevice('acme', zero)).rejects.toThrow(code('not_found'))
    await expect(registry?.createDevices([name(true as unknown as string)])).rejects.toThrow()
    expect((await registry?.listDevices({ limit: 10 }))?.items).toHaveLength(3)
  })

  it('is what was given, whatever characters it has', async () => {
    const { registries } = await openShared(1)
    const [registry] = registries
    const value = `'";\\\\' or '1'='1 ? ?? :a \u0000\b\n\r\t\u001a%_ é e\u0301 😀 ${'x'.repeat(16_000)}`
    await registry?.createDevices([{ ...name('p'), tags: { note: value.slice(0, 200) } }])
    expect((await registry?.getDevice('acme', 'p'))?.tags).toEqual({ note: value.slice(0, 200) })
    const fields = { [value.slice(0, 200)]: { time: { ms: 1, ns: 2 }, value, type: 'string' as const } }
    const state = { tenant: 'acme', device: 'p', stream: 's', fields, lastSeenMs: 1, log: 'l', partition: 0, offset: 1 }
    await registry?.writeState([state])
    expect(await registry?.readState('acme', 'p')).toEqual([state])
    expect(await registry?.pinFieldTypes([{ tenant: 'acme', stream: 's', field: value.slice(0, 200), type: 'float' }]))
      .toEqual(['float']) // prettier-ignore
    expect(await registry?.verifySecret(value, value.slice(0, 100))).toBeUndefined()
  })

  it('may be far more than one packet holds', async () => {
    const { registries } = await openShared(1)
    const [registry] = registries
    const text = "'".repeat(16_000)
    const rows = Array.from({ length: 40 }, (_, index): StreamState => {
      const fields = Object.fromEntries(
        Array.from({ length: 40 }, (_, field) => [
          `f${field}`,
          { time: { ms: 1, ns: 0 }, value: text, type: 'string' },
        ]),
      ) as StreamState['fields']
      return { ...name(`d${index}`), stream: 's', fields, lastSeenMs: 1, log: 'l', partition: 0, offset: index }
    })
    await registry?.writeState(rows)
    const read = await registry?.readStreams(rows)
    expect(read?.map((state) => state?.offset)).toEqual(rows.map(({ offset }) => offset))
  })
})
