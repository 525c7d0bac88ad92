import { cpSync, existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import { tempFolder } from '../../helpers.ts'
import type { FilledFolder } from './folder.ts'
import { look, type Look } from './ledger.ts'
import { startSmallServer, type SmallServer } from './small-server.ts'

/** Every kind of file that a data folder has, by its path. */
export const KINDS = {
  'segment of the log': /^log\/telemetry\.raw-\d+\.sqlite$/,
  'WAL of a segment': /^log\/telemetry\.raw-\d+\.sqlite-wal$/,
  'segment of dead letters': /^log\/telemetry\.dead-letter-\d+\.sqlite$/,
  'WAL of dead letters': /^log\/telemetry\.dead-letter-\d+\.sqlite-wal$/,
  offsets: /^log\/groups\.sqlite$/,
  'WAL of the offsets': /^log\/groups\.sqlite-wal$/,
  'raw points': /^points\/raw\.db$/,
  'WAL of raw points': /^points\/raw\.db-wal$/,
  chunks: /^points\/chunks\/\d+\/[\d-]+\.db$/,
  registry: /^registry\.db$/,
  'WAL of the registry': /^registry\.db-wal$/,
  'sums of the registry': /^registry\.db-sums$/,
  sessions: /^sessions\.db$/,
  'WAL of the sessions': /^sessions\.db-wal$/,
  'sums of the sessions': /^sessions\.db-sums$/,
  'second name of a WAL': /^(registry|sessions)\.db-wal-link$/,
  stamps: /^stamps\.json$/,
  'disk reserve': /^disk-reserve$/,
  'credential key': /^credential-key$/,
  'key of the administrator': /^admin-token$/,
  certificate: /^tls\/.*\.crt$/,
  'key of a certificate': /^tls\/.*\.key$/,
  'lists of the authority': /^tls\/.*\.(pem|jsonl?)$/,
} as const

export type Kind = keyof typeof KINDS

/** Undefined for a file that nobody has thought of. */
export function kindOf(path: string): Kind | undefined {
  return (Object.keys(KINDS) as Kind[]).find((kind) => KINDS[kind].test(path))
}

export const HOWS = ['flip', 'empty', 'half', 'less one byte', 'removed'] as const
export type How = (typeof HOWS)[number]

const TAIL = 'a WAL without its end is what a power cut may leave: nothing else knows what was behind it'
const LAST = `${TAIL}; so is a last change that is not whole`

/** What is not told, and why; `npm run test:faults` shows what becomes of it. */
export const UNTOLD: Partial<Record<Kind, Partial<Record<How, string>>>> = {
  'WAL of a segment': { empty: TAIL, half: TAIL, 'less one byte': TAIL, removed: TAIL },
  'WAL of the registry': { empty: TAIL, half: TAIL, 'less one byte': TAIL, removed: TAIL },
  'WAL of the sessions': { flip: LAST, empty: TAIL, half: TAIL, 'less one byte': TAIL, removed: TAIL },
  'WAL of raw points': { empty: TAIL, half: TAIL, 'less one byte': TAIL, removed: TAIL },
}

export interface Damage {
  readonly path: string
  readonly how: How
  /** Where a bit is flipped; below 1. */
  readonly random: () => number
}

/** Damages one file, and returns what was done to it. */
function damage(folder: string, { path, how, random }: Damage): string {
  const file = join(folder, path)
  const { size } = statSync(file)
  if (how === 'removed') rmSync(file)
  else if (how === 'empty') truncateSync(file, 0)
  else if (how === 'half') truncateSync(file, Math.floor(size / 2))
  else if (how === 'less one byte') truncateSync(file, size - 1)
  else {
    const bytes = readFileSync(file)
    const [at, bit] = [Math.floor(random() * size), Math.floor(random() * 8)]
    bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
    writeFileSync(file, bytes)
    return `bit ${bit} of byte ${at} of ${size} of ${path}`
  }
  return `${how}: ${path} of ${size} bytes`
}

export interface DamageResult {
  /** What was done to the file. */
  readonly done: string
  /** Codes with which the damage was told: the start's, or those of the log's lines and of answers. */
  readonly told: readonly string[]
  readonly lost: number
  /** Lost, and counted as a gap. */
  readonly gaps: number
  /** What should not be. */
  readonly problems: readonly string[]
}

/** Damages a copy of the folder, starts a server on it, and looks at what became of everything that was acknowledged. */
export async function outcomeOf({ folder, acknowledged }: FilledFolder, plan: Damage): Promise<DamageResult> {
  const copy = join(tempFolder(), 'data')
  cpSync(folder, copy, { recursive: true })
  const done = damage(copy, plan)
  let server: SmallServer
  try {
    server = await startSmallServer(copy)
  } catch (error) {
    const known = toSluiceError(error)
    const isNamed = known.message.includes(basename(plan.path).replace(/-wal$/, ''))
    const isCoded = error instanceof SluiceError && known.code !== 'internal'
    const problems = isNamed && isCoded ? [] : [`${done}: the start says ${known.code}: ${known.message}`]
    return { done, told: [known.code], lost: 0, gaps: 0, problems }
  }
  try {
    await Promise.race([server.settled(), new Promise((resolve) => setTimeout(resolve, SETTLE_MS))])
    const found = await look(server, acknowledged, LOOK_MS)
    const gaps = await server.metric('sluice_ingest_gap_records_total')
    const told = [...codesIn(server.log()), ...found.refused.map((what) => what.replace(/:.*/s, ''))]
    const hasToldSessions = (await server.metric('sluice_sessions_damaged_total')) > 0
    return { done, told: [...new Set(told)], ...judged(done, found, gaps, told, hasToldSessions) }
  } finally {
    await server.close()
    if (existsSync(copy)) rmSync(copy, { recursive: true })
  }
}

/** What never comes is not waited for. */
const SETTLE_MS = 10_000
const LOOK_MS = 2_000

function judged(done: string, found: Look, gaps: number, told: readonly string[], hasToldSessions: boolean) {
  const problems = found.wrong.map((what) => `${done}: wrong: ${what}`)
  problems.push(...found.refused.filter((what) => what.startsWith('internal')).map((what) => `${done}: ${what}`))
  const readings = found.missing.filter((what) => /^(un)?timed reading/.test(what))
  const isToldMessage = (what: string): boolean => hasToldSessions && what.startsWith('message ')
  const others = found.missing.filter((what) => !readings.includes(what) && !isToldMessage(what))
  const suffix = `; told: ${told.join(' ') || 'nothing'}`
  if (readings.length > gaps) {
    problems.push(`${done}: ${readings.length} readings are missing, ${gaps} are told as a gap${suffix}`)
  }
  problems.push(...others.map((what) => `${done}: missing: ${what}${suffix}`))
  return { lost: found.missing.length, gaps: Math.min(gaps, readings.length), problems }
}

function codesIn(log: string): string[] {
  return [...log.matchAll(/"code":"(\w+)"/g)].map(([, code = '']) => code)
}
