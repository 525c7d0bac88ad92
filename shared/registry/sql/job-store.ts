import { sql, type Insertable, type Kysely } from 'kysely'
import { SluiceError } from '../../errors.ts'
import { JOB_LEASE_MS, MAX_JOBS, type Held, type Job, type JobChange, type JobCounts, type Jobs } from '../jobs-port.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'
import type { SqlFlavour } from './sql-flavour.ts'

type Db = Kysely<RegistrySchema>
type Row = Omit<RegistrySchema['jobs'], 'id'> & { id: number }

const MAX_PROGRESS = 1000

export class SqlJobs implements Jobs {
  readonly #database: RegistryDatabase
  readonly #flavour: SqlFlavour

  constructor(database: RegistryDatabase, flavour: SqlFlavour) {
    this.#database = database
    this.#flavour = flavour
  }

  async create(job: Parameters<Jobs['create']>[0]): Promise<Job> {
    this.#database.checkRoom()
    const row: Insertable<RegistrySchema['jobs']> = {
      ...{ kind: job.kind, spec: JSON.stringify(job.spec), position: null, state: 'waiting', counts: '{}' },
      ...{ progress: '', who: job.who.slice(0, 256).toWellFormed(), created_ms: Date.now(), ended_ms: null },
      ...{ owner: '', lease_ms: 0, cancel_asked: 0 },
    }
    return this.#transaction(async (trx) => {
      await makeRoom(trx)
      const { insertId } = await trx.insertInto('jobs').values(row).executeTakeFirstOrThrow()
      // Of one connection, which both engines say.
      const id = Number(insertId ?? (await newestId(trx)))
      return toJob({ ...row, id } as Row) // of the columns above
    })
  }

  async get(id: number): Promise<Job | undefined> {
    const row = await this.#database.run((db) => rowOf(db, id))
    return row === undefined ? undefined : toJob(row)
  }

  async list({ before, limit }: Parameters<Jobs['list']>[0]): Promise<readonly Job[]> {
    return this.#database.run(async (db) => {
      const query = db.selectFrom('jobs').selectAll().orderBy('id', 'desc').limit(limit)
      const rows = await (before === undefined ? query : query.where('id', '<', before)).execute()
      return rows.map(toJob)
    })
  }

  async take(owner: string, kinds: readonly string[]): Promise<Job | undefined> {
    if (kinds.length === 0) return undefined
    const { isShared } = this.#flavour
    return this.#transaction(async (trx) => {
      const now = await this.#now(trx)
      const query = trx.selectFrom('jobs').selectAll().where('kind', 'in', kinds).orderBy('id').limit(1)
      const free = query.where((eb) =>
        eb.or([
          eb('state', '=', 'waiting'),
          eb.and([eb('state', '=', 'running'), isShared ? eb('lease_ms', '<=', now) : eb('owner', '<>', owner)]),
        ]),
      )
      const row = await (isShared ? free.forUpdate() : free).executeTakeFirst()
      if (row === undefined) return undefined
      const taken = { state: 'running' as const, owner, lease_ms: now + JOB_LEASE_MS }
      await trx.updateTable('jobs').set(taken).where('id', '=', row.id).execute()
      return toJob({ ...row, ...taken })
    })
  }

  async save(id: number, owner: string, change: JobChange): Promise<Held> {
    const { position, counts, progress, state } = change
    return this.#transaction(async (trx) => {
      const query = trx.selectFrom('jobs').select('cancel_asked').where('id', '=', id)
      const own = query.where('owner', '=', owner).where('state', '=', 'running')
      const row = await (this.#flavour.isShared ? own.forUpdate() : own).executeTakeFirst()
      if (row === undefined) return 'lost'
      const columns = {
        lease_ms: (await this.#now(trx)) + JOB_LEASE_MS,
        ...(position === undefined ? {} : { position: JSON.stringify(position) }),
        ...(counts === undefined ? {} : { counts: JSON.stringify(counts) }),
        ...(progress === undefined ? {} : { progress: progress.slice(0, MAX_PROGRESS).toWellFormed() }),
        ...(state === undefined ? {} : { state, ended_ms: Date.now() }),
      }
      await trx.updateTable('jobs').set(columns).where('id', '=', id).execute()
      return row.cancel_asked === 1 ? 'cancel' : 'held'
    })
  }

  async cancel(id: number): Promise<Job | undefined> {
    return this.#transaction(async (trx) => {
      const jobs = trx.updateTable('jobs').where('id', '=', id)
      const ended = { state: 'cancelled' as const, ended_ms: Date.now(), cancel_asked: 1 }
      await jobs.set(ended).where('state', '=', 'waiting').execute()
      await jobs.set({ cancel_asked: 1 }).where('state', '=', 'running').execute()
      const row = await rowOf(trx, id)
      return row === undefined ? undefined : toJob(row)
    })
  }

  #transaction<T>(work: (trx: Db) => Promise<T>): Promise<T> {
    return this.#database.run((db) => db.transaction().execute(work))
  }

  /** By the clock of the database, and of no process. */
  async #now(db: Db): Promise<number> {
    const { rows } = await sql<{ now: number }>`select ${this.#flavour.nowMs} as now`.execute(db)
    return rows[0]?.now ?? 0
  }
}

/** Forgets the oldest that have ended. Error: `rate_limited`. */
async function makeRoom(db: Db): Promise<void> {
  const jobs = db.selectFrom('jobs').select('id')
  const open = await jobs.where('state', 'in', ['waiting', 'running']).limit(MAX_JOBS).execute()
  if (open.length >= MAX_JOBS) throw new SluiceError('rate_limited', `${MAX_JOBS} jobs are waiting already`)
  const ended = jobs.where('state', 'not in', ['waiting', 'running']).orderBy('id', 'desc').limit(MAX_JOBS)
  const oldest = (await ended.execute())[MAX_JOBS - 1]
  if (oldest === undefined) return
  const old = db.deleteFrom('jobs').where('id', '<=', oldest.id)
  await old.where('state', 'not in', ['waiting', 'running']).execute()
}

async function newestId(db: Db): Promise<number> {
  const row = await db.selectFrom('jobs').select('id').orderBy('id', 'desc').limit(1).executeTakeFirstOrThrow()
  return row.id
}

function rowOf(db: Db, id: number): Promise<Row | undefined> {
  return db.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirst()
}

function toJob(row: Row): Job {
  const { id, kind, state, progress, who, owner } = row
  return {
    ...{ id, kind, state, progress, who, owner, createdMs: row.created_ms, cancelAsked: row.cancel_asked === 1 },
    spec: JSON.parse(row.spec) as unknown,
    position: row.position === null ? undefined : (JSON.parse(row.position) as unknown),
    counts: JSON.parse(row.counts) as JobCounts, // our own text
    endedMs: row.ended_ms ?? undefined,
  }
}
