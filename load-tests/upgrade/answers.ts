import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { devicePath } from '../../shared/api-client.ts'
import { isDeepStrictEqual } from 'node:util'
import { deviceNames } from './fill.ts'
import { STREAMS } from './history.ts'
import type { Target } from './target.ts'

/** What was answered to each request, by its path. */
export type Answers = Readonly<Record<string, unknown>>

/** More points than this of a series are told by their number and digest. */
const MAX_SHOWN = 1_000
const PAGE = 10_000
const ASK_AGAIN_MS = 100

const streams = ['telemetry', 'tank', 'tail', ...new Set(STREAMS.map(({ stream }) => stream))]
const AGGREGATES = ['min', 'max', 'mean', 'sum', 'count', 'first', 'last']

/** Every request whose answer an upgrade must not change, with parameters that every version knows. */
export function questions(): string[] {
  const ofDevice = deviceNames.flatMap(({ tenant, device }) => [
    devicePath(tenant, device),
    devicePath(tenant, device, '/latest?epoch=ns'),
    ...streams.map((stream) => devicePath(tenant, device, `/readings?epoch=ns&stream=${encodeURIComponent(stream)}`)),
  ])
  const numbers = devicePath('north', 'pump-1', '/readings?epoch=ns&field=temperature')
  const states = devicePath('north', 'pump-1', '/readings?epoch=ns&field=state')
  return [
    '/v1/devices?limit=1000',
    '/v1/devices?tenant=north&limit=2',
    devicePath('south', 'spare'),
    ...ofDevice,
    ...AGGREGATES.flatMap((aggregate) => [
      `${numbers}&aggregate=${aggregate}`,
      `${numbers}&interval=1d&aggregate=${aggregate}`,
    ]),
    ...['count', 'first', 'last'].map((aggregate) => `${states}&interval=1d&aggregate=${aggregate}`),
    `${numbers}&from=2023-12-01T00:00:00Z&to=2024-01-01T00:00:00Z`,
    '/v1/dead-letters?limit=1000',
    '/v1/dead-letters?limit=1000&tenant=south',
    '/v1/dead-letters?limit=1000&code=payload_not_json',
    '/v1/applications',
    '/v1/claim-keys',
    '/v1/audit?limit=1000',
    '/v1/devices/nowhere/nothing',
  ]
}

/** Asks a Sluice, readings with all their pages. */
export async function answersTo(target: Target, paths: readonly string[]): Promise<Answers> {
  const ask = async (path: string) => [path, await (path.includes('/readings?') ? readings : answer)(target, path)]
  return Object.fromEntries(await Promise.all(paths.map(ask))) as Answers
}

/** Asks again until the answer is this one. Rejects with the last one when it is not within the time. */
export async function untilAnswered(
  target: Target,
  path: string,
  isIt: (answer: unknown) => boolean,
  withinMs = 120_000,
): Promise<void> {
  const end = performance.now() + withinMs
  for (;;) {
    const found = await answer(target, path)
    if (isIt(found)) return
    const text = JSON.stringify(found).slice(0, 500)
    if (text.includes('bad_request')) throw new Error(`${path} is no question`)
    if (performance.now() > end) throw new Error(`${path} still answers ${text}`)
    await delay(ASK_AGAIN_MS)
  }
}

/** What was asked before and is answered otherwise now. What an answer has in addition is no difference. */
export interface Difference {
  readonly path: string
  /** Names of members joined with ".", `*` for the index in a list. */
  readonly at: string
  readonly before: unknown
  readonly now: unknown
}

export function differences(before: Answers, now: Answers): Difference[] {
  return Object.keys(before).flatMap((path) => [...below(path, '', before[path], now[path])])
}

function* below(path: string, at: string, before: unknown, now: unknown): Generator<Difference> {
  if (isDeepStrictEqual(before, now)) return
  const areLists = Array.isArray(before) && Array.isArray(now)
  if (areLists ? before.length !== now.length : !isObject(before) || !isObject(now)) {
    yield { path, at, before, now }
    return
  }
  for (const [name, value] of Object.entries(before as object)) {
    const place = areLists ? '*' : name
    yield* below(path, at === '' ? place : `${at}.${place}`, value, (now as Record<string, unknown>)[name])
  }
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

async function answer({ url, token }: Target, path: string): Promise<unknown> {
  const response = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } })
  const body = (await response.json()) as object
  return response.ok ? body : { status: response.status, code: 'code' in body ? body.code : undefined }
}

interface Page {
  readonly series?: readonly ({ readonly points: readonly unknown[] } & Readonly<Record<string, unknown>>)[]
  readonly next?: string | null
}

async function readings(target: Target, path: string): Promise<unknown> {
  const found = new Map<string, { series: object; points: unknown[] }>()
  for (let cursor = ''; ;) {
    const page = (await answer(target, `${path}&limit=${PAGE}${cursor}`)) as Page
    if (page.series === undefined) return page
    for (const { points, ...series } of page.series) {
      const name = JSON.stringify(series)
      const known = found.get(name) ?? { series, points: [] }
      found.set(name, known)
      for (const point of points) known.points.push(point)
    }
    if (typeof page.next !== 'string') break
    cursor = `&cursor=${encodeURIComponent(page.next)}`
  }
  const series = [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, it]) => ({ ...it.series, ...shown(it.points) }))
  return { series }
}

function shown(points: readonly unknown[]): object {
  if (points.length <= MAX_SHOWN) return { points }
  const digest = createHash('sha256').update(JSON.stringify(points)).digest('hex')
  return { count: points.length, digest, first: points[0], last: points.at(-1) }
}
