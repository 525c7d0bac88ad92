import { setImmediate as nextTurn } from 'node:timers/promises'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { JobRunner, type JobHandler } from '../../../../../services/query-api/jobs/job-runner.ts'
import { SluiceError } from '../../../../../shared/errors.ts'
import { createMetrics } from '../../../../../shared/process/metrics.ts'
import type { Held, Job, JobChange, Jobs } from '../../../../../shared/registry/jobs-port.ts'
import { PATIENCE } from '../../../../patience.ts'

/** A table of jobs in memory; one that is leased is nobody else's. */
class Table implements Pick<Jobs, 'take' | 'save'> {
  readonly jobs = new Map<number, Job>()
  answer: Held | undefined

  add(kind: string, more: Partial<Job> = {}): number {
    const id = this.jobs.size + 1
    const fresh = { counts: {}, progress: '', who: 'admin', createdMs: 1, endedMs: undefined, owner: '' }
    this.jobs.set(id, {
      id,
      kind,
      spec: { n: id },
      position: undefined,
      state: 'waiting',
      cancelAsked: false,
      ...fresh,
      ...more,
    })
    return id
  }

  async take(owner: string, kinds: readonly string[]): Promise<Job | undefined> {
    const job = [...this.jobs.values()].find(({ state, kind }) => state === 'waiting' && kinds.includes(kind))
    if (job === undefined) return undefined
    this.jobs.set(job.id, { ...job, state: 'running', owner })
    return this.jobs.get(job.id)
  }

  async save(id: number, owner: string, { state, ...change }: JobChange): Promise<Held> {
    const job = this.jobs.get(id)
    if (job?.owner !== owner || job.state !== 'running') return 'lost'
    this.jobs.set(id, { ...job, ...change, state: state ?? job.state, endedMs: state === undefined ? undefined : 2 })
    return this.answer ?? (job.cancelAsked ? 'cancel' : 'held')
  }
}

function start(table: Pick<Jobs, 'take' | 'save'>, handler: JobHandler): JobRunner {
  const metrics = createMetrics({ defaults: false })
  const runner = new JobRunner({
    jobs: table,
    handlers: { sweep: handler },
    logger: pino({ level: 'silent' }),
    metrics,
  })
  onTestFinished(() => runner.close())
  runner.start()
  return runner
}

const state = (table: Table, id: number) =>
  vi.waitFor(() => {
    const job = table.jobs.get(id)
    expect(job?.endedMs).toBeDefined()
    return job
  }, PATIENCE)

/** Two runners on one table, and how often each job was done. */
async function checkDoneOnce(table: Table): Promise<void> {
  const ids = [table.add('sweep'), table.add('sweep')]
  const done: number[] = []
  const handler: JobHandler = {
    async run({ job, save }) {
      done.push(job.id)
      // The other one has its turn.
      await nextTurn()
      await save({ progress: 'begun' })
      return { progress: 'swept' }
    },
  }
  for (let n = 0; n < 2; n++) start(table, handler)
  await Promise.all(ids.map((id) => state(table, id)))
  expect(done.toSorted((x, y) => x - y)).toEqual(ids)
}

/** Known-wrong: who asks gets a job, whoever has it. */
class TableWithoutLease extends Table {
  override async take(owner: string): Promise<Job | undefined> {
    const job = [...this.jobs.values()].find(({ endedMs }) => endedMs === undefined)
    if (job === undefined) return undefined
    await nextTurn()
    this.jobs.set(job.id, { ...job, state: 'running', owner })
    return this.jobs.get(job.id)
  }
}

describe('the runner of jobs', () => {
  it('does each job of its kinds once, whoever else runs', () => checkDoneOnce(new Table()))

  it('is found out when jobs have no lease', async () => {
    await expect(checkDoneOnce(new TableWithoutLease())).rejects.toThrow('to deeply equal')
  })

  it('waits for what can be retried, saying so, and ends what cannot', async () => {
    const table = new Table()
    const [first, second] = [table.add('sweep'), table.add('sweep')]
    const told: (string | undefined)[] = []
    let tries = 0
    start(table, {
      async run({ job }) {
        tries += 1
        told.push(table.jobs.get(job.id)?.progress)
        if (job.id === second) throw new SluiceError('bad_request', 'no such thing')
        if (tries < 3) throw new SluiceError('store_unavailable', 'away')
        return { counts: { swept: 3 }, progress: 'swept' }
      },
    })
    expect(await state(table, first)).toMatchObject({ state: 'done', counts: { swept: 3 }, progress: 'swept' })
    expect(told[1]).toBe('Waiting: store_unavailable: away')
    expect(await state(table, second)).toMatchObject({ state: 'failed', progress: 'bad_request: no such thing' })
  })

  it('stops when somebody cancels, and ends what was cancelled before it was taken', async () => {
    const table = new Table()
    const first = table.add('sweep')
    const cancelled = async (job: Job) => `${job.id} swept in part`
    const handler: JobHandler = {
      async run({ save }) {
        const job = table.jobs.get(first)
        if (job !== undefined) table.jobs.set(first, { ...job, cancelAsked: true })
        await save({ progress: 'half' })
        throw new Error('goes on although it was cancelled')
      },
      cancelled,
    }
    const runner = start(table, handler)
    expect(await state(table, first)).toMatchObject({ state: 'cancelled', progress: '1 swept in part' })
    const second = table.add('sweep', { cancelAsked: true })
    runner.wake()
    expect(await state(table, second)).toMatchObject({ state: 'cancelled', progress: '2 swept in part' })
  })

  it('leaves a job that is another process’s, and what is under way when it closes', async () => {
    const table = new Table()
    const first = table.add('sweep')
    const reasons: string[] = []
    const runner = start(table, {
      async run({ signal, save }) {
        if (reasons.length === 0) table.answer = 'lost'
        reasons.push('begun')
        await save({}).catch(() => {
          reasons.push('lost')
          throw new Error('stopped')
        })
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        throw signal.reason
      },
    })
    await vi.waitFor(() => expect(reasons).toEqual(['begun', 'lost']), PATIENCE)
    table.answer = undefined
    const second = table.add('sweep')
    await vi.waitFor(() => expect(reasons).toEqual(['begun', 'lost', 'begun']), PATIENCE)
    await runner.close()
    expect([table.jobs.get(first)?.state, table.jobs.get(second)?.state]).toEqual(['running', 'running'])
  })
})
