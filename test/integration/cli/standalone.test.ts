import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { SimulationReport } from '../../../services/simulator/simulation-report.ts'
import { startServer, type Server } from '../../e2e/server.ts'
import { PATIENCE } from '../../patience.ts'

const root = join(import.meta.dirname, '../../..')

function start(server: Server, args: readonly string[]) {
  const env = {
    ...process.env,
    ...{ DATA_DIR: server.folder, HTTP_PORT: String(server.httpPort), MQTT_PORT: String(server.mqttPort) },
  }
  const child = spawn(join(root, 'sluice'), args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** Runs `./sluice` as a person would, against a real service. */
async function sluice(server: Server, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = start(server, args)
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (text: Buffer) => (output.stdout += text.toString()))
  child.stderr.on('data', (text: Buffer) => (output.stderr += text.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, ...output }
}

describe('./sluice against the service itself', () => {
  it('makes, lists, shows and removes logins', async () => {
    const server = await startServer()
    const added = await sluice(server, 'devices', 'add', 'a/b', '--tag', 'x=y', '--json')
    expect(JSON.parse(added.stdout)).toMatchObject({ tenant: 'a', device: 'b', username: 'a/b' })
    expect(await sluice(server, 'devices', 'add', 'a/b')).toMatchObject({ code: 1, stdout: '' })
    expect((await sluice(server, 'devices', 'list')).stdout).toMatch(/^a\/b +offline +never +never +x=y$/m)
    expect((await sluice(server, 'devices', 'show', 'a/b')).stdout).toMatch(/^tags +x=y$/m)
    expect((await sluice(server, 'devices', 'remove', 'a/b')).code).toBe(0)
    expect((await sluice(server, 'devices', 'show', 'a/b')).code).toBe(1)
    const rules = ['--allow', 'subscribe:t/#', '--deny', 'subscribe:t/a/#']
    expect((await sluice(server, 'applications', 'add', 'dash', ...rules)).code).toBe(0)
    expect((await sluice(server, 'applications', 'list')).stdout).toMatch(
      /dash +allow subscribe t\/#\n +deny subscribe/,
    )
    const explained = await sluice(server, 'acl', 'explain', 'dash', 'subscribe', 't/a/+')
    expect(explained.code).toBe(1)
    expect(explained.stdout).toContain('denied by deny subscribe t/a/#')
    expect((await sluice(server, 'applications', 'rules', 'dash', '--allow', 'subscribe:t/#')).code).toBe(0)
    expect((await sluice(server, 'acl', 'explain', 'dash', 'subscribe', 't/a/+')).code).toBe(0)
    expect((await sluice(server, 'acl', 'explain', 'nobody', 'subscribe', 't/a/+')).stderr).toContain('nobody')
    expect((await sluice(server, 'applications', 'remove', 'dash')).code).toBe(0)
  })

  it('sets policies, which hold for what comes from then on', async () => {
    const server = await startServer()
    await sluice(server, 'devices', 'add', 'p/dev')
    const url = `${server.url}/v1/devices/p/dev/readings`
    const headers = { authorization: `Bearer ${server.token}` }
    const post = (a: string) => fetch(url, { method: 'POST', headers, body: JSON.stringify({ a }) })
    await post('1.5')
    expect(await sluice(server, 'policies', 'set', 'quoted_numbers=number', '--tenant', 'p')).toMatchObject({ code: 0 })
    await post('2.5')
    const set = ['quoted_numbers=text', '--tenant', 'p', '--stream', 'raw']
    expect((await sluice(server, 'policies', 'set', ...set)).stdout).toContain('Tenant p now has revision 2')
    await fetch(`${url}?stream=raw`, { method: 'POST', headers, body: '{"a":"3.5"}' })
    const show = await sluice(server, 'policies', 'show', '--tenant', 'p', '--stream', 'raw')
    expect(show.stdout).toMatch(/^quoted_numbers +text +stream +admin$/m)
    expect((await sluice(server, 'policies', 'set', 'quoted_numbers=maybe', '--tenant', 'p')).stderr).toContain(
      'quoted_numbers is "maybe": it must be one of text, number',
    )
    expect((await sluice(server, 'policies', 'set', 'colour=red')).code).toBe(2)
    expect((await sluice(server, 'policies', 'unset', 'quoted_numbers', '--tenant', 'p')).code).toBe(0)
    expect((await sluice(server, 'policies', 'list')).stdout).not.toContain('Tenant p')
    expect((await sluice(server, 'policies', 'history', '--tenant', 'p')).stdout).toMatch(/^3 .*admin.*\{"streams"/m)
    expect((await sluice(server, 'audit')).stdout).toContain('policies.set')
    await vi.waitFor(async () => {
      const values = async (stream: string) => {
        const answer = await fetch(`${url}?stream=${stream}`, { headers })
        const { series } = (await answer.json()) as { series: { points: [number, unknown][] }[] }
        return series.flatMap(({ points }) => points.map(([, value]) => value)).sort()
      }
      expect(await values('telemetry')).toEqual(['1.5', 2.5])
      expect(await values('raw')).toEqual(['3.5'])
    })
  })

  it('is found well by doctor and status', async () => {
    const server = await startServer()
    expect((await sluice(server, 'status', '--json')).stdout).toContain('"ready":true')
    const { code, stdout } = await sluice(server, 'doctor', '--json')
    const { findings } = JSON.parse(stdout) as { findings: { check: string; detail: string }[] }
    for (const port of [server.mqttPort, server.httpPort]) {
      const finding = findings.find(({ check }) => check === `port ${port}`)
      expect(finding?.detail).toContain(`in use by Sluice, process ${server.pid}`)
    }
    expect(code).toBe(0)
  })

  it('proves the weather file row for row', async () => {
    const server = await startServer()
    const file = 'load-tests/data/seattle-weather-hourly.csv'
    const args = ['--from', file, '--time-column', 'date', '--time-zone', '-08:00', '--devices', '1', '--keep']
    const { code, stdout } = await sluice(server, 'simulate', ...args, '--verify', '--json')
    const report = JSON.parse(stdout) as SimulationReport
    expect(report).toMatchObject({ ok: true, sent: 8759, acked: 8759, stored: 8759, lost: 0, duplicated: 0, wrong: 0 })
    expect(code).toBe(0)
    const status = async () => (await sluice(server, 'status')).stdout
    await expect.poll(status, PATIENCE).toMatch(/^stored +8759 readings since the start$/m)
    const query = 'from=2010-07-01T00:00:00-08:00&to=2010-07-01T01:00:00-08:00&epoch=rfc3339'
    const url = `${server.url}/v1/devices/${report.firstDevice}/readings?${query}`
    const answer = await fetch(url, { headers: { authorization: `Bearer ${server.token}` } })
    expect(await answer.json()).toMatchObject({
      series: [
        { field: 'pressure', points: [['2010-07-01T08:00:00Z', 1017]] },
        { field: 'temperature', points: [['2010-07-01T08:00:00Z', 14.6]] },
        { field: 'wind', points: [['2010-07-01T08:00:00Z', 3.2]] },
      ],
    })
  })

  it('tail shows a reading as it passes', async () => {
    const server = await startServer()
    const tail = start(server, ['tail', 'sim', '--json'])
    const lines = createInterface({ input: tail.stdout })
    const first = once(lines, 'line')
    // What passed before the view was open is not shown, so readings go on until one is.
    const simulation = sluice(server, 'simulate', '--devices', '1', '--rate', '20', '--duration', '3s')
    const [line] = (await first) as [string]
    expect(JSON.parse(line)).toMatchObject({
      event: 'reading',
      tenant: 'sim',
      values: { seq: expect.any(Number) as number },
    })
    await simulation
    tail.kill('SIGINT')
    expect(await once(tail, 'exit')).toEqual([0, null])
  })
})
