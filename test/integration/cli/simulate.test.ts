import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { SimulationReport } from '../../../services/simulator/simulation-report.ts'
import { tempFolder } from '../../helpers.ts'
import { runAgainst, startFakeService, type FakeOptions, type Series } from './fake-service.ts'

const SHORT = ['--devices', '3', '--rate', '300', '--duration', '300ms', '--patience', '400ms']

async function simulate(options: FakeOptions, args: readonly string[] = SHORT) {
  const service = await startFakeService(options)
  const { code, stdout, stderr } = await runAgainst(service.url, ['simulate', ...args, '--verify', '--json'])
  return { service, code, stderr, report: JSON.parse(stdout) as SimulationReport }
}

const clean = { lost: 0, duplicated: 0, wrong: 0, unexpected: 0, differences: [] }

describe('simulate --verify against a service that keeps its word', () => {
  it.each([1, 2])('proves it at QoS %i, and removes its devices', async (qos) => {
    const { service, code, report } = await simulate({}, [...SHORT, '--qos', String(qos)])
    expect(report).toMatchObject({ ...clean, ok: true, verified: true, qos, devices: 3, kept: false, outOfOrder: 0 })
    expect(report.sent).toBeGreaterThan(20)
    expect([report.acked, report.stored, report.unacknowledged]).toEqual([report.sent, report.sent, 0])
    expect(report.ackLatency.count).toBe(report.sent)
    expect(report.queryableLatency.count).toBeGreaterThan(0)
    expect(code).toBe(0)
    expect(service.devices.size).toBe(0)
  })

  it('claims nothing for QoS 0, and is not confused by what is not there', async () => {
    const { code, report } = await simulate({ forget: (sequence) => sequence === 2 }, [...SHORT, '--qos', '0'])
    expect(report).toMatchObject({ ...clean, ok: true, acked: 0, stored: 0, unacknowledgedAbsent: 3 })
    expect(report.unacknowledgedStored).toBe(report.sent - 3)
    expect(code).toBe(0)
  })

  it('keeps the devices when asked to', async () => {
    const { service, report } = await simulate({}, [...SHORT, '--keep', '--tenant', 'mine'])
    expect(report.kept).toBe(true)
    expect([...service.devices].every((name) => name.startsWith('mine/'))).toBe(true)
    expect(service.devices).toContain(report.firstDevice)
  })
})

describe('simulate --verify against a service that does not', () => {
  const first = (series: Series[], field: string) => series.find((one) => one.field === field)?.points
  const lies: [string, FakeOptions, Partial<SimulationReport>][] = [
    ['loses a reading', { forget: (sequence, device) => sequence === 4 && device.endsWith('2') }, { lost: 1 }],
    [
      'changes a value',
      { tamper: (_, series) => first(series, 'value')?.splice(3, 1, [0, 1]) },
      { unexpected: 3, wrong: 3 },
    ],
    [
      'answers a point twice',
      { tamper: (_, series) => first(series, 'seq')?.push([...first(series, 'seq')![1]!]) },
      { duplicated: 3 },
    ],
    ['drops a field', { tamper: (_, series) => void series.pop() }, {}],
  ]

  it.each(lies)('that %s: exit 1, and the devices stay', async (_name, options, found) => {
    const { code, report, service } = await simulate(options)
    expect(report).toMatchObject({ ok: false, kept: true, ...found })
    expect(report.differences.length).toBeGreaterThan(0)
    expect(code).toBe(1)
    expect(service.devices.size).toBe(3)
  })

  it('names what is lost for people', async () => {
    const service = await startFakeService({ forget: (sequence) => sequence === 4 })
    const { code, stdout, stderr } = await runAgainst(service.url, ['simulate', ...SHORT, '--verify'])
    expect(stdout).toMatch(/^lost +3$/m)
    expect(stdout).toMatch(/^ {2}lost: sim\/sim-\w+-00001 sequence 4: acknowledged 0\.\d+ s after the start$/m)
    expect(stderr).toMatch(/^send: sent 0, acked 0/m)
    expect(code).toBe(1)
  })
})

describe('simulate --from', () => {
  const file = (text: string) => {
    const path = join(tempFolder(), 'rows.csv')
    writeFileSync(path, text)
    return path
  }
  const rows = 'when,t,ok,name\n2026-01-01T00:00:00,1.50,true,a\n2026-01-01T01:00:00,,false,"b,c"\n'

  it('sends each row from each device and reads it back', async () => {
    const args = ['--from', file(rows), '--time-column', 'when', '--devices', '2', '--patience', '400ms']
    const { code, report, stderr } = await simulate({}, args)
    expect(report).toMatchObject({ ...clean, sent: 4, acked: 4, stored: 4 })
    expect(stderr).toContain('no zone and are sent as UTC')
    expect(code).toBe(0)
  })

  it('finds a row that came back changed', async () => {
    const args = [
      '--from',
      file(rows),
      '--time-column',
      'when',
      '--time-zone',
      'Z',
      '--devices',
      '1',
      '--patience',
      '300ms',
    ]
    const tamper = (_: string, series: Series[]) =>
      series.forEach((it) => it.field === 'name' && (it.points[1]![1] = 'b'))
    const { code, report, stderr } = await simulate({ tamper }, args)
    expect(report.differences).toEqual([
      expect.objectContaining({ sequence: 1, problem: 'wrong', detail: 'name is "b", but "b,c" was sent' }),
    ])
    expect(stderr).not.toContain('zone')
    expect(code).toBe(1)
  })

  it.each([
    [['--from', '/nowhere.csv'], 'cannot read /nowhere.csv'],
    [['--from', 'package.json'], 'line 2'],
  ])('%j fails in one line before anything is made', async (args, message) => {
    const service = await startFakeService()
    const { code, stderr } = await runAgainst(service.url, ['simulate', ...args])
    expect(stderr).toMatch(/^sluice: [^\n]*\n$/)
    expect(stderr).toContain(message)
    expect({ code, made: service.devices.size }).toEqual({ code: 1, made: 0 })
  })
})

describe('simulate that cannot go on', () => {
  it('says which broker does not answer', async () => {
    const service = await startFakeService()
    const { code, stderr } = await runAgainst(service.url, ['simulate', '--mqtt', '127.0.0.1:1', '--patience', '300ms'])
    expect(stderr).toMatch(/0 of 10 devices are connected to MQTT at 127\.0\.0\.1:1 after 0\.3 s \(.*ECONNREFUSED/)
    expect(code).toBe(1)
  })

  it('ends early when interrupted, and verifies what was sent', async () => {
    const service = await startFakeService()
    const controller = new AbortController()
    const args = ['simulate', '--rate', '500', '--duration', '1h', '--verify', '--json']
    const { code, stdout } = await runAgainst(service.url, args, {
      interruption: () => controller.signal,
      stderr: (text) => text.startsWith('send') && setTimeout(() => controller.abort(), 100),
    })
    const report = JSON.parse(stdout) as SimulationReport
    expect(report).toMatchObject({ ...clean, ok: true, stored: report.acked })
    expect(code).toBe(0)
  })
})
