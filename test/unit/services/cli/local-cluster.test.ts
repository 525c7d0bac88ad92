import { join } from 'node:path'
import { chmodSync, writeFileSync } from 'node:fs'
import { expect, it, vi } from 'vitest'
import { LocalCluster } from '../../../../services/cli/local-cluster.ts'
import * as backoff from '../../../../shared/backoff.ts'
import { tempFolder } from '../../../helpers.ts'

vi.mock(import('../../../../shared/backoff.ts'), async (load) => {
  const actual = await load()
  return { ...actual, pause: vi.fn(actual.pause) }
})

/** The members' log and their ends, and when so many of each there are. */
function startCluster(execPath: string) {
  const ends: string[] = []
  const folder = tempFolder()
  const seen = Promise.withResolvers<void>()
  const onExit = (name: string, reason: string) => {
    ends.push(`${name} ${reason}`)
    if (ends.length >= 2) seen.resolve()
  }
  const cluster = new LocalCluster({
    brokers: 1,
    workers: 1,
    folder,
    env: {},
    execPath,
    onLine: () => undefined,
    onExit,
  })
  return { cluster, ends, seen: seen.promise }
}

it('a process that cannot be started is told with the reason, and a stop does not wait for it', async () => {
  const { cluster, ends, seen } = startCluster(join(tempFolder(), 'no-such-node'))
  await seen
  await cluster.close()
  expect(ends.sort()).toEqual([
    expect.stringMatching(/^broker could not be started: .*ENOENT/),
    expect.stringMatching(/^ingest-worker-1 could not be started: .*ENOENT/),
  ])
})

it('a process that ends is told with its code', async () => {
  const command = join(tempFolder(), 'node')
  writeFileSync(command, '#!/bin/sh\nexit 7\n')
  chmodSync(command, 0o755)
  const { cluster, ends, seen } = startCluster(command)
  await seen
  await cluster.close()
  expect(ends.sort()).toEqual(['broker exited with 7', 'ingest-worker-1 exited with 7'])
})

it('a process that ends again and again is started after pauses that grow, up to a bound and in no step', async () => {
  const folder = tempFolder()
  const command = join(folder, 'node')
  // In its eighth life it becomes ready before it ends.
  const script = [
    '#!/bin/sh',
    `lives="${folder}/$(basename "$(dirname "$2")")"`,
    'echo >> "$lives"',
    `[ "$(wc -l < "$lives")" -eq 8 ] && echo '{"msg":"ready","pid":1,"operations":1}' >&2`,
    'exit 7',
  ]
  writeFileSync(command, script.join('\n'))
  chmodSync(command, 0o755)
  let last = ''
  const pauses: number[] = []
  const enough = Promise.withResolvers<void>()
  // Without a wait, so that its lives are over soon; one member is looked at, and the other one waits for the end.
  vi.mocked(backoff.pause).mockImplementation(async (ms, signal) => {
    if (last !== 'broker' || pauses.length === 9)
      return new Promise((resolve) => signal?.addEventListener('abort', () => resolve()))
    pauses.push(ms)
    if (pauses.length === 9) enough.resolve()
  })
  const options = { brokers: 1, workers: 1, folder, env: {}, execPath: command, onLine: () => undefined }
  const cluster = new LocalCluster({ ...options, onExit: (name) => void (last = name) })
  await enough.promise
  await cluster.close()
  // Behind the life that was ready they begin anew.
  const most = [1, 2, 4, 8, 16, 30, 30, 1, 2].map((seconds) => seconds * 1_000)
  const within = pauses.map((ms, index) => ms >= (most[index] ?? 0) / 2 && ms <= (most[index] ?? 0))
  expect({ pauses, within }).toEqual({ pauses, within: most.map(() => true) })
  expect(new Set(pauses).size).toBe(pauses.length)
})
