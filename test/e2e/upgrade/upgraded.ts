import { join } from 'node:path'
import { expect } from 'vitest'
import { answersTo, differences, questions, untilAnswered, type Answers } from '../../../load-tests/upgrade/answers.ts'
import { connect, type Logins } from '../../../load-tests/upgrade/fill.ts'
import { seal, TAIL_COUNT, TAIL_READ } from '../../../load-tests/upgrade/make.ts'
import type { Target } from '../../../load-tests/upgrade/target.ts'
import { PATIENCE } from '../../patience.ts'
import { metricOf, startServer, type Server } from '../server.ts'
import type { Fixture } from './fixture.ts'
import { unwanted } from './on-purpose.ts'

/** The letters of a fixture are years old when this is run. */
const env = { LOG_RETENTION_HOURS: '87600' }
const root = join(import.meta.dirname, '../../..')

const targetOf = ({ url, token, mqttPort }: Server): Target => ({ url, token, mqttPorts: [mqttPort] })

export async function openOld(folder: string): Promise<Server> {
  const server = await startServer({ folder, env })
  await untilAnswered(targetOf(server), TAIL_COUNT, TAIL_READ)
  return server
}

/** Polled: latest states follow the points. */
function expectSame(server: Server, answers: Answers): Promise<void> {
  return expect.poll(() => changed(server, answers), PATIENCE).toEqual([])
}

export async function changed(server: Server, answers: Answers): Promise<string[]> {
  return unwanted(differences(answers, await answersTo(targetOf(server), Object.keys(answers))))
}

const REFUSAL = 'ErrorWithReasonCode: Connection refused: Bad username or password'

/** Those that are taken publish, too. */
async function checkLogins(target: Target, logins: Logins): Promise<void> {
  for (const { username, secret, token, refused } of Object.values(logins)) {
    const answer = await connect(target, { username, secret }).catch((error: unknown) => String(error))
    expect([username, typeof answer === 'string' ? answer : 'taken']).toEqual([username, refused ? REFUSAL : 'taken'])
    if (typeof answer === 'string') continue
    // An application publishes where its rules allow it.
    const topic = `t/${username.includes('/') ? username : 'north/pump-2'}/telemetry/after`
    await answer.publishAsync(topic, '{"ts":1790000000000,"after":1}', { qos: 1 })
    await answer.endAsync()
    const path = `${target.url}/v1/devices/${username.includes('/') ? username : 'north/pump-2'}/readings?stream=after`
    const posted = await fetch(path, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: '{"ts":1790000001000,"after":2}',
    })
    expect([username, posted.status]).toEqual([username, 202])
  }
}

/**
 * Opens what an older version left behind and has its log read: every answer is as before, also after a restart and when all
 * is sealed, and every login works.
 */
export async function expectUpgraded({ folder, logins, answers }: Fixture): Promise<void> {
  const first = await openOld(folder)
  expect(await metricOf(first, 'sluice_ingest_readings_total')).toBeGreaterThan(0)
  expect(Object.keys(answers)).toEqual(expect.arrayContaining(questions()))
  await expectSame(first, answers)
  await first.kill('SIGTERM')
  await seal(root, join(folder, 'points'))
  const second = await openOld(folder)
  await expectSame(second, answers)
  await checkLogins(targetOf(second), logins)
  await second.kill('SIGKILL')
  const third = await openOld(folder)
  const after = '/v1/devices/south/pump-2/readings?stream=after&aggregate=count'
  await untilAnswered(targetOf(third), after, (answer) => JSON.stringify(answer).includes(',2]'))
  await checkLogins(targetOf(third), logins)
}
