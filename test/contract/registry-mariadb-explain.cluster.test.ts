import { pbkdf2Sync } from 'node:crypto'
import { Kysely, type CompiledQuery } from 'kysely'
import { expect, it, onTestFinished, vi } from 'vitest'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import { mariadbDialect } from '../../shared/registry/mariadb/dialect.ts'
import { MariadbMetrics } from '../../shared/registry/mariadb/metrics.ts'
import { MariadbPool } from '../../shared/registry/mariadb/pool.ts'
import { mariadbFlavour } from '../../shared/registry/mariadb/open.ts'
import type { Registry, StreamState } from '../../shared/registry/port.ts'
import type { RegistrySchema } from '../../shared/registry/sql/schema.ts'
import { openSqlRegistry } from '../../shared/registry/sql/sql-registry.ts'
import { PATIENCE } from '../patience.ts'
import { connectTo, KEY, MariadbOfFile } from './registry-mariadb-harness.ts'

const mariadb = new MariadbOfFile()

interface Plan {
  readonly table: string | null
  readonly type: string | null
  readonly key: string | null
  readonly rows: number | bigint | string | null
  readonly Extra: string | null
}

/** A registry whose statements are heard. */
async function openHeard(url: string): Promise<{ registry: Registry; heard: CompiledQuery[] }> {
  const { hostname: host, port, username: user, password, pathname } = new URL(url)
  const config = { host, port: Number(port), user, password, database: pathname.slice(1) }
  const typed = { ...config, bigIntAsNumber: true, insertIdAsNumber: true, foundRows: false }
  const pool = new MariadbPool(() => typed, createLogger('silent'))
  const metrics = createMetrics({ defaults: false })
  const heard: CompiledQuery[] = []
  const dialect = mariadbDialect({ pool, metrics: new MariadbMetrics(pool, createLogger('silent'), metrics) })
  const db = new Kysely<RegistrySchema>({ dialect, log: ({ query }) => void heard.push(query) })
  const options = { db, flavour: mariadbFlavour, credentialKey: KEY, logger: createLogger('silent'), metrics }
  const registry = await openSqlRegistry(options)
  onTestFinished(() => registry.close())
  return { registry, heard }
}

const TENANTS = 20
const DEVICES = 1_000

/** 20,000 devices with two logins and two streams each, and 200 applications with 5 rules each. */
async function populate(url: string): Promise<void> {
  const admin = await connectTo(url)
  const each = `from seq_1_to_${TENANTS} t join seq_1_to_${DEVICES} d`
  await admin.query(`insert into tenants select concat('t', seq), 1 from seq_1_to_${TENANTS}`)
  await admin.query(`insert into devices (tenant, device, tags, created_ms, uid)
    select concat('t', t.seq), concat('d', d.seq), '{}', 1, concat('d', d.seq) ${each}`)
  await admin.query(`insert into device_identities
    select concat('t', t.seq), concat('d', d.seq), concat('d', d.seq), 1, null ${each}`)
  for (const kind of ['secret', 'token']) {
    const hash = `sha2(concat('${kind}', t.seq, '/', d.seq), 256)`
    const name = "concat('t', t.seq, '/d', d.seq)"
    await admin.query(`insert into credentials select left(${hash}, 43), '${kind}', ${name}, 'k', 1, ${name} ${each}`)
  }
  const login = "concat('t', t.seq, '/d', d.seq)"
  await admin.query(`insert into credential_pairs
    select ${login}, ${login}, ${login}, 1, null, null, null, 0, null ${each}`)
  await admin.query(`insert into login_states select ${login}, 0, 1 ${each} where d.seq <= 500`)
  await admin.query(`insert into imported_passwords
    select concat('u', t.seq, '/', d.seq), ${login}, 'mosquitto-7', 's', 'h', 101, 1, null ${each} where d.seq <= 500`)
  await admin.query(`insert into registry_endings select ${login}, 'x', t.seq * 10000 + d.seq ${each}`)
  await admin.query(`insert into device_presence
    select concat('t', t.seq), concat('d', d.seq), 'c', 1, 1, 'n', 1, 'a', null ${each} where d.seq <= 500`)
  await admin.query(`insert into device_limits
    select concat('t', t.seq), concat('d', d.seq), 'c', 1, 1, 1, 1 ${each} where d.seq <= 500`)
  await admin.query("insert into audit_log (at_ms, who, action, subject) select 1, 'w', 'a', 's' from seq_1_to_20000")
  await admin.query(`insert into device_state
    select concat('t', t.seq), concat('d', d.seq), s.stream, '[]', 1, 0, 1, '', null, null, null ${each}
    join (select 'power' as stream union select 'telemetry') s`)
  await admin.query(`insert into device_fields
    select concat('t', t.seq), concat('d', d.seq), 'telemetry', 'abcdefgh', 1 ${each}`)
  await admin.query(`insert into field_types
    select concat('t', t.seq), 's', concat('f', d.seq), 'float' ${each}`)
  await admin.query(`insert into registry_changes
    select concat('t', t.seq, '/d', d.seq), 'x', t.seq * 10000 + d.seq ${each}`)
  await admin.query(`update registry_revision set revision = 1000000`)
  await admin.query("insert into applications (application, created_ms) select concat('a', seq), 1 from seq_1_to_200")
  await admin.query(`insert into acl_rules
    select concat('a', a.seq), p.seq, 'allow', 'publish', '#' from seq_1_to_200 a join seq_1_to_5 p`)
  await admin.query("insert into api_keys select concat('k', seq), sha2(seq, 256), 'k', 1 from seq_1_to_200")
  const tables =
    'devices, device_identities, credentials, device_state, device_fields, field_types, registry_changes, applications, acl_rules, api_keys'
  const logins = 'credential_pairs, login_states, imported_passwords, registry_endings, audit_log'
  await admin.query(`analyze table ${tables}, ${logins}`)
}

/** Everything that API, broker and worker ask of a registry. */
async function askEverything(registry: Registry): Promise<void> {
  const names = Array.from({ length: 500 }, (_, index) => ({ tenant: 't7', device: `d${index + 1}` }))
  const row = { fields: {}, lastSeenMs: 2, log: 'l', partition: 0, offset: 2 }
  const states = names.map((name): StreamState => ({ ...name, stream: 'telemetry', ...row }))
  await registry.createDevices(['n1', 'n2', 'n3'].map((device) => ({ tenant: 't7', device })))
  await expect(registry.createDevices(names)).rejects.toThrow('already exists')
  await registry.getDevice('t7', 'd3')
  const first = await registry.listDevices({ limit: 100 })
  await registry.listDevices({ limit: 100, cursor: first.next ?? '' })
  const ofTenant = await registry.listDevices({ tenant: 't7', limit: 100 })
  await registry.listDevices({ tenant: 't7', limit: 100, cursor: ofTenant.next ?? '' })
  await registry.removeDevice('t7', 'n1')
  const { username, secret, token } = await registry.createApplication('new', [
    { effect: 'allow', action: 'publish', topic: 'a' },
  ])
  await registry.verifySecret(username, secret)
  await registry.verifyToken(token)
  await registry.getApplication('a7')
  await registry.applicationPrincipal('a7')
  await registry.listApplications()
  await registry.removeApplication('new')
  await registry.verifyApiKey(`slk_${'x'.repeat(32)}`)
  await registry.setAdminKey(`slk_${'k'.repeat(32)}`)
  const fields = names.map(({ device }): Parameters<Registry['pinFieldTypes']>[0][number] => {
    return { tenant: 't7', stream: 's', field: device.replace('d', 'f'), type: 'float' }
  })
  await registry.pinFieldTypes([...fields, { tenant: 't7', stream: 's', field: 'new', type: 'float' }])
  await registry.readState('t7', 'd3')
  await registry.readStreams(states)
  await registry.writeState(states)
  await registry.audit({ who: 'a', action: 'b', subject: 'c' })
  await registry.listAudit({ limit: 100 })
  await registry.listAudit({ limit: 100, before: 10_000 })
  await askForLogins(registry)
}

async function askForLogins(registry: Registry): Promise<void> {
  const many = Array.from({ length: 500 }, (_, index) => ({ tenant: 't9', device: `d${index + 1}` }))
  await registry.principalNamed('t7/d3')
  await registry.credentials.list('t7/d3')
  const next = await registry.credentials.rotate('t7/d3', 1000)
  await registry.verifyToken(next.token)
  await registry.credentials.rotate('t7/d3', 0)
  const salt = Buffer.alloc(12)
  const imported = { kind: 'mosquitto-7', salt, hash: pbkdf2Sync('p', salt, 1, 64, 'sha512'), iterations: 1 } as const
  await registry.credentials.importPassword('t7/d4', 'someone', imported)
  await registry.verifySecret('someone', 'p')
  await registry.credentials.setDisabled('t7/d4', true)
  await registry.credentials.setDisabled('t7/d4', false)
  await registry.credentials.revoke('t7/d4')
  const { id, key } = await registry.claimKeys.create({ tenant: 't7', maxUses: 2, expiresMs: undefined })
  await registry.claimKeys.claim(key, 'claimed')
  await registry.claimKeys.claim(key, 'claimed')
  await registry.claimKeys.list()
  await registry.claimKeys.revoke(id)
  await registry.renameDevice({ tenant: 't7', device: 'd900' }, 'renamed')
  await registry.principalNamed('t7/d900')
  await registry.removeDevice('t7', 'renamed')
  await registry.createDevices([{ tenant: 't7', device: 'adopting', adopt: { history: 'd900', isUsed: false } }])
  await registry.existingDevices(many)
  await registry.removeDevices(many)
}

/** Reads of a whole table, or of its index in order, and why that is right. */
const STATED: readonly { readonly sql: RegExp; readonly why: string }[] = [
  { sql: /^select \* from `claim_keys` order by/, why: 'lists all provisioning keys' },
  { sql: /^select \* from `audit_log` order by `id` desc limit/, why: 'the newest, which end at their limit' },
  { sql: /^select .* from `applications` as `a` left join `acl_rules` .* order by/, why: 'lists all applications' },
  {
    sql: /^select .* from `devices` left join `login_states` as `login` on [^?]*device\) order by `tenant`, `device` limit/,
    why: 'the first page, which ends at its limit',
  },
]

/** What is read after more changes than are looked up one by one, as those of `populate`: it may come again, and later. */
const ALL_NAMES = /^select (\* from `device_names`|`tenant`, `device` from `devices`)$/

it('every statement of a registry finds its rows by an index', async () => {
  const url = await mariadb.newDatabase()
  const { registry, heard } = await openHeard(url)
  await populate(url)
  const admin = await connectTo(url)
  // Who hears of so many changes at once reads all names, which is not what is asked here.
  await vi.waitUntil(() => registry.names.isKnown(`t${TENANTS}`, `d${DEVICES}`), PATIENCE)
  heard.splice(0)
  await askEverything(registry)
  // The look for changes that comes each second, of one row and of those since.
  await vi.waitFor(() => expect(heard.some(({ sql }) => /`registry_changes` where/.test(sql))).toBe(true), {
    timeout: 10_000,
  })
  const statements = new Map(heard.map((query) => [query.sql, query]))
  const explained = [...statements.values()].filter(({ sql }) => {
    return /^(select|update|delete|insert|replace) /.test(sql) && !ALL_NAMES.test(sql)
  })
  expect(explained.length).toBeGreaterThan(25)
  const stated = new Set<string>()
  for (const { sql, parameters } of explained) {
    const plans = await admin.query<Plan[]>(`explain ${sql}`, parameters.map(String))
    for (const { table, type, key, rows, Extra } of plans) {
      if (type === null || /^insert|^replace/.test(sql)) continue
      const exception = STATED.find((entry) => entry.sql.test(sql))
      const isScan = type === 'ALL' || type === 'index' || key === null
      const shown = `${sql.slice(0, 200)}\n${JSON.stringify({ table, type, key, rows, Extra })}`
      if (exception !== undefined) {
        if (isScan) stated.add(exception.why)
        continue
      }
      expect(isScan, shown).toBe(false)
      // Of 20,000 rows at most what was asked for: a thousand devices of the tenant, or a page.
      expect(Number(rows), shown).toBeLessThanOrEqual(sql.includes('limit') ? 25_000 : 2_100)
      expect(Extra ?? '', shown).not.toMatch(/temporary|join buffer/)
    }
  }
  expect(stated.size).toBe(STATED.length)
})
