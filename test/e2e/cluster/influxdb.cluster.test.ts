import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { startFaultProxy, type Fault } from '../../servers/fault-proxy.ts'
import { expectKept, LIMIT_MS, runScenario, SEEDS, someTime, useServers } from './harness.ts'

const cluster = useServers()

describe.each(SEEDS)('InfluxDB that misbehaves under load, seed %i', (seed) => {
  /** The workers meet the fault; the API asks the server itself. */
  const throughProxy = async (name: string, faults: readonly Fault[]) => {
    const proxy = await startFaultProxy(cluster.servers.influxdb.url)
    onTestFinished(() => proxy.close())
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
  }

  it('503, again and again', { timeout: LIMIT_MS }, () => {
    const fault: Fault = { kind: 'answer', status: 503 }
    return throughProxy('InfluxDB 503', [fault, fault])
  })

  it('429 with Retry-After', { timeout: LIMIT_MS }, () => {
    const fault: Fault = { kind: 'answer', status: 429, headers: { 'retry-after': '1' } }
    return throughProxy('InfluxDB 429', [fault, fault])
  })

  it('requests that hang, and writes that are stored and never answered', { timeout: LIMIT_MS }, () =>
    throughProxy('InfluxDB stalls', [{ kind: 'stall' }, { kind: 'withhold' }]),
  )

  it(
    'a token that is withdrawn: nothing is dead-lettered, the worker says so, and goes on',
    {
      timeout: LIMIT_MS,
    },
    async () => {
      const tokenFile = join(cluster.folder, 'worker-token')
      let token = await makeToken(tokenFile)
      const outcome = await runScenario(cluster, {
        ...{ name: 'InfluxDB 401', seed, workerEnv: { INFLUX_TOKEN: undefined, INFLUX_TOKEN_FILE: tokenFile } },
        async fault({ workers: [worker] }, random) {
          if (worker === undefined) throw new Error('there is no worker')
          await someTime(random, 1_000)
          await token.withdraw()
          await vi.waitUntil(
            async () => (await worker.readiness()).checks.some(({ detail }) => detail?.includes('store_unauthorised')),
            { timeout: 30_000 },
          )
          expect((await worker.readiness()).ready).toBe(false)
          expect(await worker.metric('sluice_ingest_retries_total')).toBeGreaterThan(0)
          expect(await worker.metric('sluice_ingest_rejects_total')).toBe(0)
          await delay(3_000)
          token = await makeToken(tokenFile)
        },
      })
      expectKept(outcome)
    },
  )
})

/** A token with the rights of a worker, in a file. */
async function makeToken(file: string): Promise<{ withdraw: () => Promise<void> }> {
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
