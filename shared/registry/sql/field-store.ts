import { compareText } from '../../text-order.ts'
import { streamKey } from '../../topics.ts'
import type { DeviceFields, StreamFields } from '../fields-port.ts'
import { chunks } from './queries-rows.ts'
import type { RegistryDatabase } from './registry-database.ts'

/** Characters of a mark. */
const MARK = /.{8}/g
/** A row has up to 80 KB: far less in a statement than the databases take. */
const ROWS = 50

export class SqlDeviceFields implements DeviceFields {
  readonly #database: RegistryDatabase

  constructor(database: RegistryDatabase) {
    this.#database = database
  }

  async of(devices: readonly { tenant: string; device: string }[]): Promise<StreamFields[]> {
    const found: StreamFields[] = []
    for (const [tenant, group] of Map.groupBy(devices, (one) => one.tenant)) {
      for (const part of chunks(group.map(({ device }) => device))) {
        const rows = await this.#database.run((db) => {
          const query = db.selectFrom('device_fields').selectAll().where('tenant', '=', tenant)
          return query.where('device', 'in', part).execute()
        })
        for (const { device, stream, marks } of rows) {
          found.push({ tenant, device, stream, marks: marks.match(MARK) ?? [] })
        }
      }
    }
    return found
  }

  async write(rows: readonly StreamFields[]): Promise<void> {
    if (rows.length === 0) return
    // In the order of the key: two writers then never wait for each other in a circle.
    const sorted = [...rows].sort((a, b) => compareText(streamKey(a), streamKey(b)))
    const values = sorted.map(({ marks, ...names }) => ({ ...names, marks: marks.join(''), fields: marks.length }))
    await this.#database.run((db) =>
      db.transaction().execute(async (trx) => {
        for (const part of chunks(values, ROWS)) await trx.replaceInto('device_fields').values(part).execute()
      }),
    )
  }

  async countOf(tenant: string): Promise<number> {
    const row = await this.#database.run((db) => {
      const query = db.selectFrom('device_fields').where('tenant', '=', tenant)
      return query.select(({ fn }) => fn.sum<number | string | bigint | null>('fields').as('sum')).executeTakeFirst()
    })
    return Number(row?.sum ?? 0)
  }
}
