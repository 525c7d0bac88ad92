import { randomUUID } from 'node:crypto'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { brokerProcessSettings } from '../../../config/cluster.ts'
import { kafkaOptions } from '../../../config/kafka.ts'
import { loadConfig } from '../../../shared/config.ts'
import type { SluiceError } from '../../../shared/errors.ts'
import type { KafkaLogOptions } from '../../../shared/log/kafka/open.ts'
import { codeOf, keyIn, RAW, record, startConsumer, textsOf } from '../../contract/log-harness.ts'
import { newPrefix, openOnKafka } from '../../contract/log-kafka-harness.ts'
import { makeAuthority } from '../../../load-tests/servers/certificates.ts'
import {
  changePassword,
  KAFKA_USER,
  prepareSecurity,
  unsignedToken,
  type KafkaSecurity,
} from '../../../load-tests/servers/kafka-security.ts'
import { startKafka, type Kafka } from '../../../load-tests/servers/kafka.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-kafka-security-'))
const password = randomUUID()
let kafka: Kafka
let security: KafkaSecurity

beforeAll(async () => {
  security = await prepareSecurity(folder, password)
  kafka = await startKafka(folder, { brokers: 1, security })
})

afterAll(async () => {
  await kafka.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** What the settings of a service make of these variables. */
function optionsOf(variables: Record<string, string>): Partial<KafkaLogOptions> {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
  onTestFinished(() => void vi.unstubAllEnvs())
  const needed = { MARIADB_URL: 'mariadb://h/d', CREDENTIAL_KEY: 'x' }
  const { ssl, sasl } = kafkaOptions(loadConfig(brokerProcessSettings, { ...needed, ...variables }), 'test')
  return { ssl, ...(sasl === undefined ? {} : { sasl }) }
}

const login = (mechanism: string) => ({
  KAFKA_SASL: mechanism,
  KAFKA_USERNAME: KAFKA_USER,
  KAFKA_PASSWORD: password,
})
const tls = () => ({ KAFKA_TLS: 'on', KAFKA_CA_FILE: security.authority.ca })

/** Appends, consumes, commits and asks: every kind of connection logs in by itself. */
async function expectWorks(address: string, variables: Record<string, string>): Promise<void> {
  const log = await openOnKafka({ brokers: [address] }, { prefix: newPrefix(), ...optionsOf(variables) })
  onTestFinished(() => log.close())
  await log.append(RAW, [record(keyIn(log, 0), 'one')])
  const consumer = await startConsumer(log)
  await consumer.until(1)
  expect(textsOf(consumer.batches)).toEqual(['one'])
  await consumer.commit([{ partition: 0, offset: 1 }])
  expect((await log.lag(RAW, 'worker'))[0]).toMatchObject({ committed: 1, records: 0 })
}

/** Opens until it has waited once; the code of what it waits for, and of what the opening ended with when told to stop. */
async function waitsFor(address: string, variables: Record<string, string>): Promise<string[]> {
  const stop = new AbortController()
  const reasons: string[] = []
  const onWaiting = (reason: SluiceError | undefined) => {
    if (reason !== undefined) reasons.push(reason.code)
    expect(reason?.message).not.toContain('geheim')
    stop.abort()
  }
  const surroundings = { prefix: newPrefix(), signal: stop.signal, onWaiting }
  const end = await codeOf(openOnKafka({ brokers: [address] }, { ...surroundings, ...optionsOf(variables) }))
  return [...reasons, end]
}

describe('a Kafka that asks who one is', () => {
  it.each(['plain', 'scram-sha-256', 'scram-sha-512'])('is logged in to by %s', async (mechanism) => {
    await expectWorks(security.sasl, login(mechanism))
  })

  it('is logged in to over TLS, which an authority in a file vouches for', async () => {
    await expectWorks(security.saslTls, { ...login('scram-sha-512'), ...tls() })
  })

  it('is logged in to with a token of a file, and of a command, which is run again for each login', async () => {
    const file = join(folder, 'token')
    writeFileSync(file, `${unsignedToken()}\n`)
    await expectWorks(security.sasl, { KAFKA_SASL: 'oauthbearer', KAFKA_OAUTH_TOKEN_FILE: file })
    vi.unstubAllEnvs()
    const command = `echo run >>${folder}/runs; cat ${file}`
    await expectWorks(security.saslTls, { ...tls(), KAFKA_SASL: 'oauthbearer', KAFKA_OAUTH_TOKEN_COMMAND: command })
    expect(readFileSync(join(folder, 'runs'), 'utf8').split('run').length).toBeGreaterThan(2)
  })

  it.each([
    ['a token that it does not take', 'echo geheim'],
    ['one that has expired', `echo ${unsignedToken(-100)}`],
    ['a command that fails', 'echo geheim; echo no ticket >&2; exit 3'],
    ['a command that prints nothing', 'true'],
  ])('and refuses %s: it is waited for, and the token shows nowhere', async (_what, command) => {
    const variables = { KAFKA_SASL: 'oauthbearer', KAFKA_OAUTH_TOKEN_COMMAND: command }
    expect(await waitsFor(security.sasl, variables)).toEqual(['log_refused', 'closed'])
  })

  it('takes another token as soon as the file has it', async () => {
    const file = join(folder, 'late-token')
    writeFileSync(file, unsignedToken(-100))
    const onWaiting = () => writeFileSync(file, unsignedToken())
    const options = optionsOf({ KAFKA_SASL: 'oauthbearer', KAFKA_OAUTH_TOKEN_FILE: file })
    const log = await openOnKafka({ brokers: [security.sasl] }, { prefix: newPrefix(), onWaiting, ...options })
    onTestFinished(() => log.close())
    await log.append(RAW, [record(keyIn(log, 0), 'one')])
  })

  it('is shown a certificate', async () => {
    const { certificate, key } = await security.authority.issue('client')
    await expectWorks(security.mutualTls, {
      ...tls(),
      KAFKA_CERTIFICATE_FILE: certificate,
      KAFKA_CERTIFICATE_KEY: readFileSync(key, 'utf8'),
    })
  })

  it.each(['plain', 'scram-sha-256', 'scram-sha-512'])(
    'and refuses the password by %s: it is waited for somebody to act, and the password shows nowhere',
    async (mechanism) => {
      const wrong = { ...login(mechanism), KAFKA_PASSWORD: 'geheim' }
      expect(await waitsFor(security.sasl, wrong)).toEqual(['log_refused', 'closed'])
    },
  )

  it('is not believed without its authority', async () => {
    const variables = { ...login('scram-sha-512'), KAFKA_TLS: 'on' }
    expect(await waitsFor(security.saslTls, variables)).toEqual(['log_refused', 'closed'])
  })

  it('is believed as soon as its authority is in the file', async () => {
    const other = await makeAuthority(join(folder, 'other'))
    const file = join(folder, 'authorities.pem')
    copyFileSync(other.ca, file)
    const reasons: string[] = []
    const onWaiting = (reason: SluiceError | undefined) => {
      if (reason === undefined) return
      reasons.push(reason.code)
      copyFileSync(security.authority.ca, file)
    }
    const options = optionsOf({ ...login('scram-sha-512'), KAFKA_TLS: 'on', KAFKA_CA_FILE: file })
    const log = await openOnKafka({ brokers: [security.saslTls] }, { prefix: newPrefix(), onWaiting, ...options })
    onTestFinished(() => log.close())
    expect(reasons[0]).toBe('log_refused')
    await log.append(RAW, [record(keyIn(log, 0), 'one')])
  })

  it('changes the password: the file is read again at the next login, and nothing is opened anew', async () => {
    const file = join(folder, 'password')
    writeFileSync(file, password)
    const { KAFKA_PASSWORD: _, ...rest } = login('scram-sha-512')
    const options = optionsOf({ ...rest, KAFKA_PASSWORD_FILE: file })
    const log = await openOnKafka({ brokers: [security.sasl] }, { prefix: newPrefix(), ...options })
    onTestFinished(() => log.close())
    await log.append(RAW, [record(keyIn(log, 0), 'before')])
    const [plain = ''] = kafka.brokers
    await changePassword(kafka.libs, plain, 'another')
    const [broker] = kafka.processes
    await broker?.stop('SIGKILL')
    await broker?.start()
    const append = () => codeOf(log.append(RAW, [record(keyIn(log, 0), 'after')]))
    await vi.waitUntil(async () => (await append()) === 'log_refused', { timeout: 60_000, interval: 100 })
    writeFileSync(file, 'another')
    await vi.waitUntil(async () => (await append()) === 'no error', { timeout: 60_000, interval: 100 })
  })
})

describe('the settings of Kafka', () => {
  it.each([
    [{ KAFKA_SASL: 'plain' }, 'KAFKA_USERNAME'],
    [{ KAFKA_SASL: 'plain', KAFKA_USERNAME: 'x' }, 'KAFKA_PASSWORD'],
    [{ KAFKA_SASL: 'oauthbearer' }, 'KAFKA_OAUTH_TOKEN'],
    [{ KAFKA_SASL: 'oauthbearer', KAFKA_OAUTH_TOKEN: 'x', KAFKA_OAUTH_TOKEN_COMMAND: 'x' }, 'KAFKA_OAUTH_TOKEN'],
    [{ KAFKA_TLS: 'on', KAFKA_CA_FILE: '/none' }, 'KAFKA_CA_FILE'],
    [{ KAFKA_CA_FILE: '/none' }, 'KAFKA_CA_FILE'],
    [{ KAFKA_TLS: 'on', KAFKA_CERTIFICATE_KEY: 'x' }, 'KAFKA_CERTIFICATE_FILE'],
  ])('%o are refused, naming %s', (variables, name) => {
    expect(() => optionsOf(variables as Record<string, string>)).toThrow(name)
  })
})
