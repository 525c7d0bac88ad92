import type { StatementSync } from 'node:sqlite'
import type { FieldType, Series } from '../../telemetry.ts'
import { compareSeries } from '../asked-series.ts'
import type { DeleteRange, DeviceOfPoints, KnownSeries } from '../port.ts'
import type { ScanSeries, StoredScanSeries } from '../scan-check.ts'
import { checked, hotValues, insertHot } from './hot-rows.ts'
import type { HotDatabase } from './hot.ts'
import { int, text } from './row.ts'
import { Tenants } from './tenants.ts'

/** Types by the number they are stored as; only ever added to. */
const TYPES: readonly FieldType[] = ['float', 'integer', 'boolean', 'string']

const SET_HIDDEN = `UPDATE series SET hidden = ?1,
  crc = row_check('series', id, tenant, device, stream, field, type, ?1) WHERE id = ?2`

/** The index has types as they are stored, ascending, which is the answer's order turned round. */
const LIST = `SELECT id, device, stream, field FROM series WHERE tenant = ? AND (device, stream, field) >= (?, ?, ?)
  ORDER BY device, stream, field, type DESC LIMIT ?`

export interface StoredSeries extends KnownSeries {
  readonly id: number
}

interface SeriesPage {
  readonly tenant: string
  readonly device: string | undefined
  readonly from: Omit<ScanSeries, 'type'>
  readonly limit: number
}

interface Unsaved {
  readonly id: number
  readonly series: Series
}

/**
 * Tenants and series and their numeric ids. Names stay in the database; in memory are 5 bytes per series, and the
 * few series that the next transaction will save.
 */
export class Catalogue {
  readonly #hot: HotDatabase
  readonly #find: StatementSync
  readonly #insert: StatementSync
  readonly #list: StatementSync
  readonly #listOf: StatementSync
  readonly tenants: Tenants
  readonly #tenantOf: number[] = []
  readonly #typeOf: number[] = []
  /** Series of which a damaged file kept the points only. */
  readonly nameless: number[] = []
  /** Series of which all points were deleted: they are not listed until one is written again. */
  readonly #hidden = new Set<number>()
  /** Those written again by the transaction that is open. */
  readonly #shown = new Set<number>()
  #unsaved = new Map<string, Unsaved>()

  constructor(hot: HotDatabase, mostMs?: number) {
    this.#hot = hot
    this.tenants = new Tenants(hot, mostMs)
    for (const row of hot.db.prepare('SELECT * FROM series ORDER BY id').iterate()) {
      checked('series', row)
      if (int(row, 'id') !== Math.max(this.#tenantOf.length, 1)) throw new RangeError('a series is missing')
      this.#note(int(row, 'id'), int(row, 'tenant'), int(row, 'type'))
      if (int(row, 'hidden') === 1) this.#hidden.add(int(row, 'id'))
      if (text(row, 'device') === '') this.nameless.push(int(row, 'id'))
    }
    this.#find = hot.db.prepare(
      'SELECT id FROM series WHERE tenant = ? AND device = ? AND stream = ? AND field = ? AND type = ?',
    )
    this.#insert = hot.db.prepare(insertHot('series'))
    this.#list = hot.db.prepare(LIST)
    this.#listOf = hot.db.prepare(LIST.replace('tenant = ?', 'tenant = ? AND device = ?'))
  }

  /** The id of a series, made when it is new. */
  idOf(series: Series): number {
    const tenant = this.tenants.idFor(series.tenant)
    const type = TYPES.indexOf(series.type)
    const key = JSON.stringify([tenant, series.device, series.stream, series.field, type])
    const unsaved = this.#unsaved.get(key)
    if (unsaved !== undefined) return unsaved.id
    const row = this.#find.get(tenant, series.device, series.stream, series.field, type)
    if (row !== undefined) return int(row, 'id')
    const id = Math.max(this.#tenantOf.length, 1)
    this.#note(id, tenant, type)
    this.#unsaved.set(key, { id, series })
    return id
  }

  /** Within a transaction: writes what is new. Followed by {@link saved} when the transaction was committed. */
  save(): void {
    // What an earlier transaction showed and did not commit is hidden still.
    this.#shown.clear()
    this.tenants.save()
    for (const { id, series } of this.#unsaved.values()) {
      const { device, stream, field } = series
      const values = [id, this.tenantOf(id), device, stream, field, TYPES.indexOf(series.type), 0]
      this.#insert.run(...hotValues('series', values))
    }
  }

  saved(): void {
    if (this.#unsaved.size > 0) this.#unsaved = new Map()
    this.tenants.saved()
    for (const id of this.#shown) this.#hidden.delete(id)
    this.#shown.clear()
  }

  /** Within a transaction: the series among these that were hidden are listed again. */
  show(ids: Iterable<number>): void {
    if (this.#hidden.size === 0) return
    for (const id of ids) if (this.#hidden.has(id)) this.#shown.add(id)
    for (const id of this.#shown) this.#hot.db.prepare(SET_HIDDEN).run(0, id)
  }

  /** Within a transaction: these series are no longer listed. */
  hide(ids: readonly number[]): void {
    const statement = this.#hot.db.prepare(SET_HIDDEN)
    for (const id of ids) {
      statement.run(1, id)
      this.#hidden.add(id)
    }
  }

  /** `acme/pump-1 telemetry temperature`, for people. */
  nameOf(id: number): string {
    const row = this.#hot.db.prepare('SELECT device, stream, field FROM series WHERE id = ?').get(id)
    if (row === undefined) return `series ${id}`
    const tenant = this.tenants.nameOf(this.tenantOf(id))
    return `${tenant ?? '?'}/${text(row, 'device')} ${text(row, 'stream')} ${text(row, 'field')}`
  }

  typeOf(id: number): FieldType {
    return TYPES[this.#typeOf[id] ?? 0] ?? 'float'
  }

  tenantOf(id: number): number {
    return this.#tenantOf[id] ?? 0
  }

  setKeepMs(tenant: string, keepMs: number | undefined): void {
    this.tenants.idFor(tenant)
    this.#hot.transaction(() => {
      this.save()
      this.tenants.writeKeepMs(tenant, keepMs)
    })
    this.saved()
    this.tenants.kept(tenant, keepMs)
  }

  /** Series of a device that have points, or had some until they expired, by stream, field (code unit order) and type. */
  seriesOf(range: { tenant: string; device: string; stream?: string; field?: string }): StoredSeries[] {
    const found = this.#select(range).filter(({ id }) => !this.#hidden.has(id))
    // SQLite orders by code point, the port by code unit: they differ beyond U+FFFF.
    return found.sort(compareSeries)
  }

  /**
   * Series of a tenant, of one device or of all, from an identity on: by device, stream and field (code points) and type, at
   * most `limit`. Hidden ones, too: the list is the same at any time but for what is new.
   */
  list({ tenant, device, from, limit }: SeriesPage): (StoredScanSeries & { readonly id: number })[] {
    const id = this.tenants.idOf(tenant)
    if (id === undefined) return []
    const values = [from.device, from.stream, from.field, limit]
    const rows = device === undefined ? this.#list.all(id, ...values) : this.#listOf.all(id, device, ...values)
    return rows.map((row) => {
      const names = { device: text(row, 'device'), stream: text(row, 'stream'), field: text(row, 'field') }
      return { id: int(row, 'id'), ...names, type: this.typeOf(int(row, 'id')) }
    })
  }

  /** Devices that have a series, by tenant and device; those behind `after`. */
  devices(after: DeviceOfPoints | undefined, limit: number): DeviceOfPoints[] {
    const found: DeviceOfPoints[] = []
    const query = this.#hot.db.prepare(
      'SELECT DISTINCT device FROM series WHERE tenant = ? AND hidden = 0 AND device > ? ORDER BY device LIMIT ?',
    )
    for (const tenant of this.tenants.names) {
      if (after !== undefined && tenant < after.tenant) continue
      const behind = tenant === after?.tenant ? after.device : ''
      const rows = query.all(this.tenants.idOf(tenant) ?? 0, behind, limit - found.length)
      for (const row of rows) found.push({ tenant, device: text(row, 'device') })
      if (found.length >= limit) break
    }
    return found
  }

  /** Every series that a delete covers, hidden ones too. */
  covered(range: DeleteRange): number[] {
    return this.#select(range).map(({ id }) => id)
  }

  #select({ tenant, device, stream, field }: Omit<DeleteRange, 'from' | 'to'> & { field?: string }): StoredSeries[] {
    const id = this.tenants.idOf(tenant)
    if (id === undefined) return []
    const conditions = ['tenant = ?']
    const values: (string | number)[] = [id]
    for (const [name, value] of Object.entries({ device, stream, field })) {
      if (value === undefined) continue
      conditions.push(`${name} = ?`)
      values.push(value)
    }
    const sql = `SELECT id, stream, field FROM series WHERE ${conditions.join(' AND ')}`
    const rows = this.#hot.db.prepare(sql).all(...values)
    return rows.map((row) => {
      const series = int(row, 'id')
      return { id: series, stream: text(row, 'stream'), field: text(row, 'field'), type: this.typeOf(series) }
    })
  }

  #note(id: number, tenant: number, type: number): void {
    while (this.#tenantOf.length <= id) {
      this.#tenantOf.push(0)
      this.#typeOf.push(0)
    }
    this.#tenantOf[id] = tenant
    this.#typeOf[id] = type
  }
}
