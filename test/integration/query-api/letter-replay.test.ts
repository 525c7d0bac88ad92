import { describe, expect, it, vi } from 'vitest'
import { overriding } from '../../../load-tests/reference/overriding.ts'
import { SluiceError } from '../../../shared/errors.ts'
import type { TelemetryLog } from '../../../shared/log/port.ts'
import { keyOfLogin } from '../../../shared/record.ts'
import type { Jobs } from '../../../shared/registry/jobs-port.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import { TombstoneView } from '../../../shared/registry/tombstones-port.ts'
import { PATIENCE } from '../../patience.ts'
import { replayOverAll } from '../../variants/replay-over-all.ts'
import { accept, AHEAD, begin, ended, iso, job, NO_POINTS, NOW, open } from './letter-jobs.ts'
import { send, sendBoth, setPolicy, settled, stored } from './letter-jobs.ts'
import { openReal } from './real-api.ts'

/** What the device sends while a replay is on its way comes first in the log, and is not stored yet when it is looked for. */
async function checkCorrectionOnItsWay(ofWorker?: (log: TelemetryLog) => TelemetryLog): Promise<void> {
  const first = await open()
  await send(first, { ts: AHEAD, v: 1, w: 1 })
  await settled(first)
  await first.close()

  const real = await openReal(undefined, { folder: first.folder, isIdle: true, ...(ofWorker && { ofWorker }) })
  await accept(real)
  await send(real, { ts: AHEAD, v: 5 })
  const replaying = await begin(real, 'replay')
  await vi.waitFor(async () => {
    const offsets = await real.log.offsets('telemetry.raw')
    expect(offsets.reduce((sum, { end }) => sum + end, 0)).toBe(3)
  }, PATIENCE)
  await real.startWorker()
  const { counts } = await ended(real, replaying)
  expect(await stored(real)).toEqual({ v: [[0, 5]], w: [[0, 1]] })
  expect(counts).toEqual({ letters: 1, skipped: 0, ...NO_POINTS, stored: 1, superseded: 1 })
}

/** A reading whose letter is replayed was deleted meanwhile. */
async function checkDeleted(through?: (registry: Registry) => Registry): Promise<void> {
  const real = await open(through)
  await sendBoth(real)
  const span = { from: iso(AHEAD), to: iso(AHEAD + 1) }
  await ended(real, await real.call('POST', '/v1/devices/demo/a/readings/delete', { payload: span }))
  await accept(real)
  const counts = await job(real, 'replay')
  expect(await stored(real)).toEqual({ v: [[-2 * 86_400_000, 2]] })
  expect(counts).toEqual({ letters: 0, skipped: 0 })
}

const deaf = (registry: Registry): Registry => {
  const tombstones = overriding(registry.tombstones, { current: async () => new TombstoneView() })
  return overriding(registry, { tombstones })
}

describe('replaying letters', () => {
  it('is tried over HTTP, where the request has been read long before it is answered', async () => {
    const real = await open()
    await sendBoth(real)
    const headers = { authorization: `Bearer ${real.token}`, 'content-type': 'application/json' }
    const dry = await fetch(`${real.url}/v1/dead-letters/replay`, { method: 'POST', headers, body: '{"dryRun":true}' })
    expect({ status: dry.status, body: await dry.json() }).toMatchObject({
      status: 200,
      body: { job: null, counts: { letters: 1 } },
    })
  })

  it('stores what they name, with its own times, and a second time changes nothing', async () => {
    const real = await open()
    await sendBoth(real)
    expect(await job(real, 'replay')).toEqual({ letters: 1, skipped: 0, ...NO_POINTS, faulty: 1 })
    await accept(real)
    const dry = await real.call('POST', '/v1/dead-letters/replay', { payload: { dryRun: true } })
    const place = {
      tenant: 'demo',
      device: 'a',
      stream: 'telemetry',
      time: iso(AHEAD),
      stored: null,
      outcome: 'stored',
    }
    expect(dry).toMatchObject({
      status: 200,
      body: {
        job: null,
        counts: { letters: 1, skipped: 0, stored: 2, faulty: 0 },
        points: [
          { ...place, field: 'v', kind: 'number', value: 1 },
          { ...place, field: 'word', kind: 'text', value: 'x' },
        ],
        complete: true,
      },
    })
    expect(await stored(real)).toEqual({ v: [[-2 * 86_400_000, 2]] })
    expect(await job(real, 'replay')).toEqual({ letters: 1, skipped: 0, ...NO_POINTS, stored: 2 })
    const all = { v: [[-2 * 86_400_000, 2], [0, 1]], word: [[0, 'x']] } // prettier-ignore
    expect(await stored(real)).toEqual(all)
    const offsets = await real.log.offsets('telemetry.raw')
    expect(await job(real, 'replay')).toEqual({ letters: 0, skipped: 1 })
    expect(await real.log.offsets('telemetry.raw')).toEqual(offsets)
    expect(await stored(real)).toEqual(all)
    const { body } = await real.call('GET', '/v1/audit')
    const entry = { action: 'letters replay', subject: 'dead-letters', who: 'admin' }
    expect(body['entries']).toContainEqual(expect.objectContaining(entry))
  })

  it('keeps the receive time of readings without a time, and names no field that was good', async () => {
    const real = await open()
    await setPolicy(real, { time_future: 'quarantine' })
    await send(real, `[{"ok":"1","n":1e999},{"ts":${AHEAD},"v":2}]`)
    await settled(real)
    const at = NOW - AHEAD
    expect(await stored(real)).toEqual({ ok: [[at, '1']] })
    // Were it stored as a whole, "ok" would be a number, too.
    await setPolicy(real, { quoted_numbers: 'number', time_future: 'restamp' })
    expect(await job(real, 'replay')).toEqual({ letters: 1, skipped: 0, ...NO_POINTS, stored: 1, faulty: 1 })
    expect(await stored(real)).toEqual({ ok: [[at, '1']], v: [[at, 2]] })
  })

  it('leaves alone what was stored meanwhile', async () => {
    const real = await open()
    await sendBoth(real)
    await accept(real)
    await send(real, { ts: AHEAD, v: 7 })
    await settled(real)
    expect(await job(real, 'replay')).toEqual({ letters: 1, skipped: 0, ...NO_POINTS, stored: 1, superseded: 1 })
    expect(await stored(real)).toMatchObject({ v: [[-2 * 86_400_000, 2], [0, 7]], word: [[0, 'x']] }) // prettier-ignore
  })

  it('leaves alone what is on its way', () => checkCorrectionOnItsWay())

  it('is seen to fail where an owner stores what was replayed over all', async () => {
    await expect(checkCorrectionOnItsWay(replayOverAll)).rejects.toThrow('to deeply equal')
  })

  it('brings nothing back that was deleted', () => checkDeleted())

  it('is seen to fail where nobody knows what was deleted', async () => {
    await expect(checkDeleted(deaf)).rejects.toThrow('to deeply equal')
  })

  it('does a page again that was not counted, and that changes nothing', async () => {
    let isFirst = true
    const failsOnce = (registry: Registry): Registry => {
      const save: Jobs['save'] = async (id, owner, change) => {
        if (isFirst && change.counts !== undefined) {
          isFirst = false
          throw new SluiceError('registry_unavailable', 'not now')
        }
        return registry.jobs.save(id, owner, change)
      }
      return overriding(registry, { jobs: overriding(registry.jobs, { save }) })
    }
    const real = await open(failsOnce)
    await sendBoth(real)
    await accept(real)
    expect(await job(real, 'replay')).toEqual({ letters: 1, skipped: 0, ...NO_POINTS, unchanged: 2 })
    expect(isFirst).toBe(false)
    const ends = (await real.log.offsets('telemetry.raw')).map(({ end }) => end)
    expect(ends.reduce((sum, end) => sum + end, 0)).toBe(2)
    expect(await job(real, 'replay')).toEqual({ letters: 0, skipped: 1 })
  })

  it('of two values for one place stores the one that was sent later', async () => {
    const real = await open()
    await send(real, { ts: AHEAD, v: 1 })
    await send(real, { ts: AHEAD, v: 2 })
    await settled(real)
    await accept(real)
    const { body } = await real.call('GET', '/v1/dead-letters')
    const [later, earlier] = (body['deadLetters'] as { id: string }[]).map(({ id }) => id)
    const { body: one } = await real.call('GET', `/v1/dead-letters?id=${earlier}`)
    expect(one['deadLetters']).toMatchObject([{ id: earlier }])
    const dry = await real.call('POST', '/v1/dead-letters/replay', { payload: { id: later, dryRun: true } })
    expect(dry.body).toMatchObject({ points: [{ letter: later, value: 2, outcome: 'stored' }] })
    expect(await job(real, 'replay')).toEqual({ letters: 2, skipped: 0, ...NO_POINTS, stored: 1, superseded: 1 })
    expect(await stored(real)).toEqual({ v: [[0, 2]] })
  })

  it('hands what a message of several devices held to each of them, when it is there', async () => {
    const real = await open()
    const value = Buffer.from(JSON.stringify({ a: { ts: AHEAD, v: 1 }, b: [{ ts: AHEAD, v: 2 }, { v: 3 }] }))
    const headers = { topic: 't/demo/telemetry', login: 'gateway' }
    await real.log.append('telemetry.raw', [
      { key: keyOfLogin('demo', 'gateway'), value, ms: NOW, ns: 5, scheme: 1, headers },
    ])
    await settled(real)
    await accept(real)
    expect(await job(real, 'replay')).toEqual({ letters: 1, skipped: 0, ...NO_POINTS, stored: 1, faulty: 2 })
    await real.call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'b' } })
    expect(await job(real, 'replay')).toEqual({ letters: 1, skipped: 0, ...NO_POINTS, unchanged: 1, stored: 2 })
    expect(await stored(real)).toEqual({ v: [[0, 1]] })
    expect(await stored(real, 'b')).toEqual({ v: [[NOW - AHEAD, 3], [0, 2]] }) // prettier-ignore
  })

  it('tells what the store refuses of it, and tries that again from the first letter', async () => {
    const real = await open(undefined, { env: { INGEST_DEVICE_FIELDS: '1' } })
    await send(real, { ts: AHEAD, v: 1, n: 0.5 })
    await settled(real)
    await accept(real)
    expect(await job(real, 'replay')).toEqual({ letters: 1, skipped: 0, ...NO_POINTS, stored: 1, faulty: 1 })
    expect(await job(real, 'replay')).toEqual({ letters: 1, skipped: 1, ...NO_POINTS, unchanged: 1, faulty: 1 })
    expect(await stored(real)).toEqual({ v: [[0, 1]] })
    const { body } = await real.call('GET', '/v1/dead-letters')
    const told = {
      code: 'series_limit',
      replayable: false,
      done: null,
      receivedAt: expect.stringMatching(iso(NOW).slice(0, -1)) as string,
    }
    expect(body['deadLetters']).toMatchObject([
      told,
      told,
      { code: 'time_ahead', replayable: true, done: { state: 'faulty', tries: 2 } },
    ])
  })

  it('is tried three times, and not for what was discarded', async () => {
    const real = await open()
    await sendBoth(real)
    for (let tries = 1; tries <= 3; tries++) {
      expect(await job(real, 'replay')).toEqual({ letters: 1, skipped: 0, ...NO_POINTS, faulty: 1 })
    }
    expect(await job(real, 'replay')).toEqual({ letters: 0, skipped: 1 })
    await send(real, { ts: AHEAD, v: 9 })
    await settled(real)
    const done = async () => {
      const { body } = await real.call('GET', '/v1/dead-letters')
      return (body['deadLetters'] as { done: unknown }[]).map((one) => one.done)
    }
    const known = { at: expect.any(String) as string, who: 'admin', job: expect.any(Number) as number }
    expect(await done()).toEqual([null, { state: 'faulty', tries: 3, ...known }])
    const unknown = await real.call('POST', '/v1/dead-letters/discard', { payload: { code: 'no_such' } })
    expect([unknown.status, unknown.body['code']]).toEqual([400, 'bad_request'])
    const dry = await real.call('POST', '/v1/dead-letters/discard', { payload: { dryRun: true } })
    expect(dry.body).toMatchObject({ counts: { letters: 2, skipped: 0 }, job: null })
    expect(await job(real, 'discard', { code: 'time_invalid' })).toEqual({ letters: 0, skipped: 0 })
    expect(await job(real, 'discard', { tenant: 'demo', device: 'a', code: 'time_ahead' })).toMatchObject({
      letters: 2,
    })
    const left = { state: 'discarded', ...known }
    expect(await done()).toEqual([
      { ...left, tries: 0 },
      { ...left, tries: 3 },
    ])
    await accept(real)
    expect(await job(real, 'replay')).toEqual({ letters: 0, skipped: 2 })
    expect(await stored(real)).toEqual({ v: [[-2 * 86_400_000, 2]] })
  })
})
