import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { setTimeout as delay } from 'node:timers/promises'
import { devicePath } from '../../shared/api-client.ts'
import type { openSqlitePoints } from '../../shared/points/sqlite/open.ts'
import type { createLogger } from '../../shared/process/logger.ts'
import type { createMetrics } from '../../shared/process/metrics.ts'
import { answersTo, questions, untilAnswered, type Answers } from './answers.ts'
import { startCheckout } from './checkout.ts'
import { deviceNames, makeLogins, sendHistory, sendRecent, sendTail, TAIL, type Logins } from './fill.ts'
import { SMALL } from './history.ts'

/** Asks whether all of the log is read, and the answer when it is. */
export const TAIL_COUNT = devicePath('north', 'pump-1', '/readings?stream=tail&field=n&aggregate=count')

export const TAIL_READ = (answer: unknown): boolean => JSON.stringify(answer).includes(`,${TAIL}]`)

/** What is known of a data folder beside what is in it. */
export interface Expected {
  readonly logins: Logins
  readonly answers: Answers
}

/**
 * Makes `{out}/data`, the data folder of a standalone Sluice of the checkout's version that was killed behind its last
 * acknowledgements, and `{out}/expected.json`, what that version answers about it once it has read its log.
 */
export async function makeFolder(checkout: string, out: string, size = SMALL): Promise<Expected> {
  const folder = join(out, 'data')
  mkdirSync(out, { recursive: true })
  const first = await startCheckout(checkout, folder)
  const logins = await makeLogins(first)
  await sendHistory(first, logins, size)
  for (const { tenant, device } of deviceNames) {
    const path = devicePath(tenant, device, '/readings?stream=texts_2')
    await untilAnswered(first, path, (answer) => JSON.stringify(answer).includes('leer'))
  }
  await first.stop('SIGTERM')
  await seal(checkout, join(folder, 'points'))
  const second = await startCheckout(checkout, folder)
  await sendRecent(second, logins)
  await second.stop('SIGTERM')
  const third = await startCheckout(checkout, folder)
  const tail = await sendTail(third, logins)
  await third.stop('SIGKILL')
  await tail.endAsync(true)
  const copy = join(out, 'copy')
  cpSync(folder, copy, { recursive: true })
  const writer = await startCheckout(checkout, copy)
  await untilAnswered(writer, TAIL_COUNT, TAIL_READ)
  // A clean stop waits for what is behind the points: latest states and when devices were seen.
  await writer.stop('SIGTERM')
  const reader = await startCheckout(checkout, copy)
  const answers = await answersTo(reader, questions())
  await reader.stop('SIGTERM')
  rmSync(copy, { recursive: true })
  const expected = { logins, answers }
  writeFileSync(join(out, 'expected.json'), `${JSON.stringify(expected, undefined, 1)}\n`)
  return expected
}

/** With the checkout's own code: chunks are made after a day, or of a million points. */
export async function seal(checkout: string, folder: string): Promise<void> {
  const module = async (path: string): Promise<unknown> => import(pathToFileURL(join(resolve(checkout), path)).href)
  const { openSqlitePoints: open } = (await module('shared/points/sqlite/open.ts')) as {
    openSqlitePoints: typeof openSqlitePoints
  }
  const { createLogger: logger } = (await module('shared/process/logger.ts')) as { createLogger: typeof createLogger }
  const { createMetrics: make } = (await module('shared/process/metrics.ts')) as { createMetrics: typeof createMetrics }
  const metrics = make({ defaults: false })
  const store = await open({ folder, logger: logger('silent'), metrics, sealAfterMs: 0 })
  const unsealed = async () => (await metrics.getSingleMetric('sluice_points_raw_points')?.get())?.values[0]?.value
  while ((await unsealed()) !== 0) await delay(20)
  await store.close()
}
