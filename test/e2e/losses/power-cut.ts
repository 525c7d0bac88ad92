import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { tempFolder } from '../../helpers.ts'
import { recorded } from '../../power-cut.ts'
import { Disk, type Unsynced } from '../../power-cut/disk.ts'
import { failingSyncs } from '../../power-cut/failing-syncs.ts'
import { callsOf, type Call } from '../../power-cut/recording.ts'
import { startServer, type Server } from '../server.ts'
import { Ledger, look, type Look } from './ledger.ts'
import { drive } from './load.ts'

export interface Recording {
  readonly folder: string
  readonly calls: readonly Call[]
  readonly ledger: Ledger
  /** When the first process was ready, in milliseconds since 1970. */
  readonly readyMs: number
  /** Codes with which processes ended by themselves. */
  readonly ended: readonly string[]
}

export interface RecordingPlan {
  readonly rounds: number
  /** Syncs of the files of one store that fail in the first process, counted from its start. */
  readonly failing?: { readonly store: Store; readonly from: number; readonly to: number }
  /** A module that makes the process known-wrong. */
  readonly preload?: string
}

/** Checkpoints come often, and files are moved into databases a few times. */
const SETTINGS = { INGEST_CHECKPOINT_MS: '50', LOG_LEVEL: 'warn' }

/** Records a standalone server under everything that it acknowledges. One that ends is started again, as by a service manager. */
export async function record({ rounds, failing, preload }: RecordingPlan): Promise<Recording> {
  const folder = join(tempFolder(), 'data')
  const traces: string[] = []
  const ended: string[] = []
  const env = preload === undefined ? SETTINGS : { ...SETTINGS, NODE_OPTIONS: `--import ${preload}` }
  const start = async (ports: Partial<Pick<Server, 'mqttPort' | 'httpPort'>> = {}): Promise<Server> => {
    for (;;) {
      const trace = join(tempFolder(), 'trace')
      const wrapper = recorded([], trace)
      const isFirst = traces.length === 0
      traces.push(trace)
      const faults =
        failing !== undefined && isFirst ? failingSyncs({ ...failing, below: join(folder, failing.store) }) : {}
      try {
        return await startServer({ folder, wrapper, env: { ...env, ...faults }, ...ports })
      } catch (error) {
        ended.push(codeIn(String(error)))
        if (traces.length > 3) throw error
      }
    }
  }
  let server = await start()
  const readyMs = Date.now()
  let isOver = false
  const restarted = (async () => {
    for (;;) {
      await new Promise((resolve) => server.child.once('exit', resolve))
      if (isOver) return
      ended.push(codeIn(server.log()))
      server = await start(server)
    }
  })()
  const ledger = new Ledger()
  const hasSessions = existsSync(join(folder, 'sessions.db'))
  await Promise.race([drive(server, ledger, { rounds, hasSessions }), restarted])
  isOver = true
  await server.kill('SIGKILL')
  const calls = traces.flatMap((trace) => callsOf(readFileSync(trace, 'latin1')))
  return { folder, calls, ledger, readyMs, ended }
}

/** What a process said at its end; empty when it said nothing. */
function codeIn(log: string): string {
  return /^(?:sluice: .*)\((\w+)\)/m.exec(log)?.[1] ?? ''
}

function isSync({ name }: Call): boolean {
  return name === 'fsync' || name === 'fdatasync'
}

/** Files of a recording, each as often as a sync of it failed. */
export function failedSyncs({ calls, folder }: Recording): string[] {
  const failed = calls.filter((call) => isSync(call) && call.result < 0)
  return failed.map(({ paths }) => (paths[0] ?? '').slice(folder.length + 1))
}

/** The stores of a data folder, by the beginning of their files' names. */
export const STORES = ['log/', 'points/', 'registry.db', 'sessions.db'] as const
export type Store = (typeof STORES)[number]

/** How many syncs the files of a store saw, and how many of them before the process was ready; 0 without such a store. */
export function syncsOf(
  { calls, folder, readyMs }: Recording,
  store: Store,
): { readonly before: number; readonly all: number } {
  const own = calls.filter((call) => isSync(call) && call.paths[0]?.startsWith(`${folder}/${store}`))
  return { before: own.filter(({ ms }) => ms < readyMs).length, all: own.length }
}

export interface Cut {
  /** How much of what came since the server was ready, or since the last sync that failed, came before it; up to 1. */
  readonly at: number
  readonly unsynced: Unsynced
}

/** What is missing after a cut, and how much was acknowledged before it. */
export interface Remains extends Look {
  readonly acknowledged: number
  readonly startSeconds: number
}

/** Cuts the power, starts a server from the remains, and looks up everything that was acknowledged before. */
export async function lookAfter(recording: Recording, { at, unsynced }: Cut): Promise<Remains> {
  const { folder, calls, ledger, readyMs } = recording
  const target = tempFolder()
  const from = Math.max(
    calls.findIndex(({ ms }) => ms > readyMs),
    calls.findLastIndex((call) => isSync(call) && call.result < 0),
  )
  const before = calls.slice(0, from + Math.ceil((calls.length - from) * at))
  const disk = new Disk(folder)
  for (const call of before) disk.apply(call)
  disk.writeTo(target, unsynced)
  const acknowledged = ledger.until(before.at(-1)?.ms ?? 0)
  const started = performance.now()
  const server = await startServer({ folder: target })
  const startSeconds = (performance.now() - started) / 1000
  const found = await look(server, acknowledged)
  await server.kill('SIGKILL')
  rmSync(target, { recursive: true })
  return { ...found, acknowledged: acknowledged.length, startSeconds }
}
