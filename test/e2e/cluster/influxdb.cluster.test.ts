import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, vi } from 'vitest'
import { withAdmin } from '../../integration/log/leader-move.ts'
import { startFaultProxy, type Fault, type FaultProxy } from '../../../load-tests/servers/fault-proxy.ts'
import type { Cluster } from '../../../load-tests/cluster/cluster.ts'
import { positions } from './conservation.ts'
import { expectKept, runScenario, scenario, someTime, useServers } from './harness.ts'
import type { Member } from '../../../load-tests/cluster/member.ts'
import type { ScenarioName } from './scenarios.ts'

const cluster = useServers()
let proxy: FaultProxy

beforeAll(async () => {
  proxy = await startFaultProxy(cluster.servers.influxdb.url)
})
afterAll(() => proxy.close())

/** The workers meet the faults, one after the other; the API asks the server itself. */
function fails(name: ScenarioName, faults: readonly Fault[]): void {
  scenario(name, async (_name, seed) => {
    const outcome = await runScenario(cluster, {
      ...{ name, seed, workerEnv: { INFLUX_URL: proxy.url } },
      async fault(_cluster, random) {
        for (const fault of faults) {
          await someTime(random, 700)
          proxy.fail(fault)
          await proxy.met(1)
          await someTime(random, 3_000)
          proxy.heal()
        }
      },
    })
    expectKept(outcome)
  })
}

const unavailable: Fault = { kind: 'answer', status: 503 }
fails('InfluxDB answers 503', [unavailable, unavailable])

const overloaded: Fault = { kind: 'answer', status: 429, headers: { 'retry-after': '1' } }
fails('InfluxDB answers 429 with Retry-After', [overloaded])

// Requests that hang, and writes that are stored and never answered.
fails('InfluxDB stalls', [{ kind: 'stall' }, { kind: 'withhold' }])

const UNAUTHORISED = 'sluice_ingest_failing{dependency="points",code="store_unauthorised"}'

interface Token {
  readonly withdraw: () => Promise<void>
}

/** What the workers use: those of the seed before are still there. */
let token: Token | undefined

// A token that is withdrawn. Nothing becomes a dead letter; the worker stands still, says why, and goes on by itself.
scenario('InfluxDB answers 401', async (name, seed) => {
  const tokenFile = join(cluster.folder, 'worker-token')
  token ??= await makeToken(tokenFile)
  const inUse = token
  const committed = async () => (await withAdmin(cluster.servers.kafka, positions)).committed
  const outcome = await runScenario(cluster, {
    ...{ name, seed, workerEnv: { INFLUX_TOKEN: undefined, INFLUX_TOKEN_FILE: tokenFile } },
    async fault({ workers }, random) {
      await someTime(random, 1_000)
      token = undefined
      await inUse.withdraw()
      for (const worker of workers) {
        await vi.waitUntil(() => saysUnauthorised(worker), { timeout: 30_000 })
        // It is every worker's, and no reason to take one away.
        expect((await worker.readiness()).ready).toBe(true)
        expect(await worker.metric('sluice_ready{check="ingest-worker"}')).toBe(0)
        expect(await worker.metric(UNAUTHORISED)).toBe(1)
      }
      // What was stored before is committed by the next checkpoint, a second later at most.
      let stoppedAt = Number.NaN
      const isStill = async () => stoppedAt === (stoppedAt = await committed())
      await vi.waitUntil(isStill, { timeout: 30_000, interval: 1_500 })
      await delay(3_000)
      expect(await committed()).toBe(stoppedAt)
      token = await makeToken(tokenFile)
    },
    async recovered({ workers }) {
      for (const worker of workers) {
        expect(await worker.metric(UNAUTHORISED)).toBe(0)
        // What is told of shared servers is up to a second old.
        const isOk = async () =>
          (await worker.readiness()).checks.some(({ name, ok }) => name === 'ingest-worker' && ok)
        await vi.waitUntil(isOk, { timeout: 10_000, interval: 100 })
        expect(await worker.metric('sluice_ingest_faults_total')).toBe(0)
      }
    },
    afterwards: expectNoDeadLetters,
  })
  expectKept(outcome)
})

async function saysUnauthorised(worker: Member): Promise<boolean> {
  const { checks } = await worker.readiness()
  return checks.some(({ name, detail }) => name === 'ingest-worker' && detail?.includes('points: store_unauthorised'))
}

async function expectNoDeadLetters(running: Cluster): Promise<void> {
  const { deadLetters } = await running.get<{ deadLetters: unknown[] }>('/v1/dead-letters?limit=100')
  expect(deadLetters).toEqual([])
}

/** A token with the rights of a worker, in a file. */
async function makeToken(file: string): Promise<Token> {
  const { org } = cluster.servers.influxdb
  const { orgs } = await ask<{ orgs: { id: string }[] }>('GET', `/api/v2/orgs?org=${org}`)
  const orgID = orgs[0]?.id
  const permissions = ['read', 'write'].flatMap((action) => [
    { action, resource: { type: 'buckets', orgID } },
    { action, resource: { type: 'orgs', id: orgID } },
  ])
  const made = await ask<{ id: string; token: string }>('POST', '/api/v2/authorizations', { orgID, permissions })
  writeFileSync(file, made.token, { mode: 0o600 })
  return {
    withdraw: async () => {
      await ask('DELETE', `/api/v2/authorizations/${made.id}`)
    },
  }
}

async function ask<T>(method: string, path: string, body?: object): Promise<T> {
  const { url, token } = cluster.servers.influxdb
  const response = await fetch(`${url}${path}`, {
    ...{ method, headers: { authorization: `Token ${token}` } },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`)
  return (response.status === 204 ? undefined : await response.json()) as T
}
