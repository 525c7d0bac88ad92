import { Kysely, sql, type CompiledQuery } from 'kysely'
import { describe, expect, it } from 'vitest'
import { createMetrics } from '../../../../../shared/process/metrics.ts'
import type { SqliteConnection } from '../../../../../shared/registry/sqlite/connection.ts'
import { sqliteDialect } from '../../../../../shared/registry/sqlite/dialect.ts'

interface Setup {
  readonly db: Kysely<Record<string, never>>
  /** Statements in the order in which the database got them. */
  readonly asked: string[]
  readonly waiting: () => Promise<number>
  answering: PromiseWithResolvers<void>
}

/** Statements are answered once `answering` resolves. */
function setUp(): Setup {
  const metrics = createMetrics({ defaults: false })
  const asked: string[] = []
  const connection = {
    async executeQuery({ sql: text }: CompiledQuery) {
      asked.push(text)
      await setup.answering.promise
      if (text === 'bad') throw new Error('bad')
      return { rows: [] }
    },
    close: async () => void asked.push('close'),
  }
  // All that the driver uses of the connection.
  const dialect = sqliteDialect(connection as unknown as SqliteConnection, metrics)
  const waiting = async (): Promise<number> => {
    const metric = await metrics.getSingleMetric('sluice_registry_waiting')?.get()
    return metric?.values[0]?.value ?? 0
  }
  const setup: Setup = { db: new Kysely({ dialect }), asked, waiting, answering: Promise.withResolvers() }
  return setup
}

const query = (db: Kysely<Record<string, never>>, text: string) => sql.raw(text).execute(db)

describe('the turns of queries and transactions', () => {
  it('come in the order in which they were asked for, transactions whole', async () => {
    const { db, asked, answering } = setUp()
    const transaction = db.transaction().execute(async (trx) => {
      await sql.raw('t1').execute(trx)
      await sql.raw('t2').execute(trx)
    })
    const others = [query(db, 'a'), query(db, 'b')]
    const failing = db.transaction().execute((trx) => sql.raw('bad').execute(trx))
    others.push(query(db, 'c'))
    answering.resolve()
    await expect(failing).rejects.toThrow('bad')
    await Promise.all([transaction, ...others])
    await db.destroy()
    const first = ['begin immediate', 't1', 't2', 'commit', 'a', 'b']
    expect(asked).toEqual([...first, 'begin immediate', 'bad', 'rollback', 'c', 'close'])
  })

  it('are refused when far too many wait, and had again afterwards', async () => {
    const { db, answering, waiting } = setUp()
    const all = Array.from({ length: 20_010 }, (_, index) => query(db, `q${index}`))
    const outcomes = Promise.allSettled(all)
    await expect(all.at(-1)).rejects.toMatchObject({ code: 'registry_unavailable' })
    expect(await waiting()).toBeGreaterThan(19_900)
    answering.resolve()
    const refused = (await outcomes).filter(({ status }) => status === 'rejected')
    expect(refused.length).toBeGreaterThan(0)
    expect(refused.length).toBeLessThanOrEqual(10)
    await query(db, 'again')
    expect(await waiting()).toBe(0)
    await db.destroy()
  })
})
