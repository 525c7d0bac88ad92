import { join } from 'node:path'
import { chmodSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { LocalCluster } from '../../../../services/cli/local-cluster.ts'
import { tempFolder } from '../../../helpers.ts'

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
