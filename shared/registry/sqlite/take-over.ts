import { DatabaseSync } from 'node:sqlite'
import { PageSums } from '../../storage/page-sums.ts'

/** What a later registry of the same installation knows and an earlier one, which takes it over, did not. */
export interface TakenOver {
  /** Devices and applications that were removed since; to be removed. */
  readonly removedDevices: readonly { readonly tenant: string; readonly device: string }[]
  readonly removedApplications: readonly string[]
  /** Credentials, imported passwords, API keys and claim keys that are in force no more. */
  readonly endedCredentials: number
  /** Logins that were revoked or disabled since. */
  readonly endedLogins: readonly string[]
  /** Of readings that were deleted since; they are noted, and the readings are still to be deleted. */
  readonly tombstones: readonly string[]
}

type Row = Record<string, unknown>

/** Logins that mean the same device, or an application, in both. */
const SAME_LOGINS = `
  SELECT own.tenant || '/' || own.device FROM devices own
    JOIN later.devices d ON d.tenant = own.tenant AND d.device = own.device
    WHERE coalesce(own.uid, own.device) = coalesce(d.uid, d.device)
  UNION SELECT own.application FROM applications own JOIN later.applications a ON a.application = own.application`

/** Rows of the later one come in place of those that are there; what is no more is deleted before. */
const REPLACED = [
  ['credential_pairs', `principal IN (${SAME_LOGINS})`],
  ['credentials', `principal IN (${SAME_LOGINS})`],
  ['imported_passwords', `principal IN (${SAME_LOGINS})`],
  ['login_states', `name IN (${SAME_LOGINS})`],
  ['acl_rules', `application IN (${SAME_LOGINS})`],
  ['api_keys', 'true'],
] as const

/** By what a thing that was ended is found out: it is not in the later one. */
const ENDED = [
  ['credential_pairs', 'credential'],
  ['imported_passwords', 'hash'],
  ['api_keys', 'hash'],
  ['claim_keys', 'id'],
] as const

/**
 * Lets a registry know what a later one knows of what was ended since. Both are of this version, and nobody has them open.
 * Undefined, and nothing is changed, when the other one is no later state of the same installation: then it was made with
 * another key, or does not know each of the devices. Throws what SQLite says.
 */
export function takeOver(file: string, later: string, nowMs: number): TakenOver | undefined {
  const sums = PageSums.check(file)
  const db = new DatabaseSync(file)
  try {
    db.prepare('ATTACH ? AS later').run(later)
    if (!isLater(db)) return undefined
    const endedLogins = textsOf(
      db,
      `SELECT l.name FROM later.login_states l LEFT JOIN login_states own ON own.name = l.name
       WHERE l.name IN (${SAME_LOGINS}) AND l.ended_ms > coalesce(own.ended_ms, 0) ORDER BY 1`,
    )
    const tombstones = textsOf(
      db,
      'SELECT id FROM later.tombstones WHERE id NOT IN (SELECT id FROM tombstones WHERE received_ms IS NOT NULL)',
    )
    const found = { ...removedSince(db), endedLogins, tombstones }
    db.exec('BEGIN IMMEDIATE')
    const endedCredentials = replaceLogins(db)
    putTombstones(db, nowMs)
    db.exec('COMMIT')
    return { ...found, endedCredentials }
  } finally {
    db.close()
    // They are of what was before.
    sums.forget()
  }
}

/** Rows of identities are never deleted, and begin as they are. */
function isLater(db: DatabaseSync): boolean {
  const key =
    'SELECT value FROM later.registry_facts WHERE name = ? AND value = (SELECT value FROM registry_facts WHERE name = ?)'
  if (db.prepare(key).get('credential_key', 'credential_key') === undefined) return false
  const unknown = `SELECT 1 FROM device_identities own WHERE NOT EXISTS (SELECT 1 FROM later.device_identities i
    WHERE i.tenant = own.tenant AND i.uid = own.uid AND i.created_ms = own.created_ms) LIMIT 1`
  return db.prepare(unknown).get() === undefined
}

function removedSince(db: DatabaseSync): Pick<TakenOver, 'removedDevices' | 'removedApplications'> {
  const devices = db.prepare(`SELECT own.tenant, own.device FROM devices own
    JOIN later.device_identities i ON i.tenant = own.tenant AND i.uid = coalesce(own.uid, own.device)
    WHERE i.removed_ms IS NOT NULL ORDER BY 1, 2`)
  const gone = 'SELECT application FROM applications EXCEPT SELECT application FROM later.applications ORDER BY 1'
  return {
    removedDevices: devices
      .all()
      .map(({ tenant, device }: Row) => ({ tenant: String(tenant), device: String(device) })),
    removedApplications: textsOf(db, gone),
  }
}

/** Returns how many credentials were ended. */
function replaceLogins(db: DatabaseSync): number {
  let ended = 0
  for (const [table, id] of ENDED) {
    const gone = `DELETE FROM ${table} WHERE ${id} NOT IN (SELECT ${id} FROM later.${table})`
    ended += Number(db.prepare(gone).run().changes)
  }
  db.exec('DELETE FROM credentials WHERE credential NOT IN (SELECT credential FROM credential_pairs)')
  db.exec(`DELETE FROM acl_rules WHERE application IN (${SAME_LOGINS})`)
  for (const [table, which] of REPLACED) {
    const columns = textsOf(db, `SELECT name FROM pragma_table_info('${table}')`).join(', ')
    db.exec(`INSERT OR REPLACE INTO ${table} (${columns}) SELECT ${columns} FROM later.${table} WHERE ${which}`)
  }
  db.exec(`UPDATE claim_keys SET uses = (SELECT uses FROM later.claim_keys l WHERE l.id = claim_keys.id)`)
  return ended
}

/** One that is still open there is closed now: nobody goes on with it. */
function putTombstones(db: DatabaseSync, nowMs: number): void {
  const columns = 'id, tenant, uid, stream, from_ms, from_ns, to_ms, to_ns'
  const put = `INSERT INTO tombstones (${columns}, received_ms)
    SELECT ${columns}, coalesce(received_ms, ?) FROM later.tombstones WHERE true
    ON CONFLICT (id) DO UPDATE SET received_ms = coalesce(tombstones.received_ms, excluded.received_ms)`
  db.prepare(put).run(nowMs)
}

function textsOf(db: DatabaseSync, sql: string): string[] {
  return db
    .prepare(sql)
    .all()
    .map((row: Row) => String(Object.values(row)[0]))
}
