import type { Kysely, SelectQueryBuilder } from 'kysely'
import type { FieldType } from '../../telemetry.ts'
import { compareText } from '../../text-order.ts'
import { fieldKey, streamKey } from '../../topics.ts'
import type { SqlFlavour, StateRow } from './sql-flavour.ts'
import type { FieldDeclaration, StreamState } from '../port.ts'
import { chunks } from './queries-rows.ts'
import type { RegistrySchema } from './schema.ts'
import { decodeFields, encodeFields } from './state-fields.ts'

/** Latest state of streams and types of fields: what the worker reads and writes, the same on every database. */

type Db = Kysely<RegistrySchema>
type StreamName = Pick<StreamState, 'tenant' | 'device' | 'stream'>

export async function statesOfDevice(db: Db, tenant: string, device: string): Promise<StreamState[]> {
  const query = db.selectFrom('device_state').selectAll().where('tenant', '=', tenant).where('device', '=', device)
  return (await query.orderBy('stream').execute()).map(toState)
}

/** In the order asked. One query per tenant and stream name, of which a batch has few, and 500 devices. */
export async function statesOfStreams(db: Db, streams: readonly StreamName[]): Promise<(StreamState | undefined)[]> {
  const found = new Map<string, StreamState>()
  for (const group of groups(streams, ({ tenant, stream }) => `${tenant}/${stream}`)) {
    const { tenant, stream } = group[0]
    for (const chunk of chunks(group.map(({ device }) => device))) {
      const query = db.selectFrom('device_state').selectAll().where('tenant', '=', tenant)
      const rows = await query.where('device', 'in', chunk).where('stream', '=', stream).execute()
      for (const row of rows) found.set(streamKey(row), toState(row))
    }
  }
  return streams.map((stream) => found.get(streamKey(stream)))
}

/** Rows per statement: what the databases like best. */
const STATE_ROWS = 1_000

/** All or none, in the order of the key: two writers then never wait for each other in a circle. */
export async function writeStates(db: Db, flavour: SqlFlavour, states: readonly StreamState[]): Promise<void> {
  const rows = states.map(toRow).sort((a, b) => compareText(streamKey(a), streamKey(b)))
  await db.transaction().execute(async (trx) => {
    for (const chunk of chunks(rows, STATE_ROWS)) await flavour.writeState(trx, chunk)
  })
}

export async function pinTypes(
  db: Db,
  flavour: SqlFlavour,
  declared: readonly FieldDeclaration[],
): Promise<FieldType[]> {
  // Some databases cannot hold half a surrogate pair, so a name with one is pinned as it would be read back.
  const fields = declared.map((declaration) => ({ ...declaration, field: declaration.field.toWellFormed() }))
  const pinned = await typesOf(db, fields)
  const missing = new Map<string, FieldDeclaration>()
  for (const field of fields) {
    const key = fieldKey(field)
    if (!pinned.has(key) && !missing.has(key)) missing.set(key, field)
  }
  if (missing.size > 0) {
    const rows = [...missing].sort(([a], [b]) => compareText(a, b)).map(([, row]) => row)
    for (const chunk of chunks(rows)) {
      const values = chunk.map(({ tenant, stream, field, type }) => ({ tenant, stream, field, type }))
      await flavour.insertIfAbsent(db.insertInto('field_types').values(values)).execute()
    }
    // Somebody else may have been first: what is in the table counts.
    for (const [key, type] of await typesOf(db, rows)) pinned.set(key, type)
  }
  return fields.map((field) => {
    const type = pinned.get(fieldKey(field))
    if (type === undefined) throw new Error(`the type of ${fieldKey(field)} was not read back`)
    return type
  })
}

async function typesOf(db: Db, fields: readonly FieldDeclaration[]): Promise<Map<string, FieldType>> {
  const types = new Map<string, FieldType>()
  for (const group of groups(fields, ({ tenant, stream }) => `${tenant}/${stream}`)) {
    const { tenant, stream } = group[0]
    for (const chunk of chunks([...new Set(group.map(({ field }) => field))])) {
      const query: SelectQueryBuilder<RegistrySchema, 'field_types', RegistrySchema['field_types']> = db
        .selectFrom('field_types')
        .selectAll()
        .where('tenant', '=', tenant)
        .where('stream', '=', stream)
      for (const row of await query.where('field', 'in', chunk).execute()) types.set(fieldKey(row), row.type)
    }
  }
  return types
}

function toRow(state: StreamState): StateRow {
  const { tenant, device, stream, fields, lastSeenMs, log, partition, offset, kept, clock, firstJson } = state
  return {
    tenant,
    device,
    stream,
    fields: encodeFields(fields),
    last_seen_ms: lastSeenMs,
    log_id: log,
    log_partition: partition,
    log_offset: offset,
    kept: kept ?? null,
    clock: clock ?? null,
    first_json: firstJson ?? null,
  }
}

function toState(row: StateRow): StreamState {
  const { tenant, device, stream, last_seen_ms: lastSeenMs } = row
  const position = { log: row.log_id, partition: row.log_partition, offset: row.log_offset }
  const kept = row.kept === null ? {} : { kept: row.kept }
  const clock = row.clock === null ? {} : { clock: row.clock }
  const first = row.first_json === null ? {} : { firstJson: row.first_json }
  return {
    tenant,
    device,
    stream,
    fields: decodeFields(row.fields),
    lastSeenMs,
    ...position,
    ...kept,
    ...clock,
    ...first,
  }
}

/** Items with the same key together, in the order in which the keys first appear. */
function groups<T>(items: readonly T[], keyOf: (item: T) => string): [T, ...T[]][] {
  return [...Map.groupBy(items, keyOf).values()] as [T, ...T[]][] // a group has at least one item
}
