import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { joinPem, makeAuthority, type Authority } from './certificates.ts'
import { freePorts } from './server-process.ts'

const run = promisify(execFile)

export const KAFKA_USER = 'sluice'

/** The listeners of a broker beside the plain one: each with its own way to prove who one is. */
export interface KafkaSecurity {
  readonly authority: Authority
  /** `host:port` of the listeners: login without TLS, login over TLS, and TLS that asks for a certificate. */
  readonly sasl: string
  readonly saslTls: string
  readonly mutualTls: string
  /** Lines for the properties; `listeners` is appended to those of the broker. */
  readonly listeners: string
  readonly protocols: string
  readonly properties: string
  /** For the tool that formats the data folder: {@link KAFKA_USER} and its password. */
  readonly formatArgs: readonly string[]
}

/** Prepares what one broker needs for {@link KAFKA_USER} to log in with `password`, in every way that Sluice knows. */
export async function prepareSecurity(folder: string, password: string): Promise<KafkaSecurity> {
  const authority = await makeAuthority(join(folder, 'certificates'))
  const store = joinPem(await authority.issue('broker'), join(folder, 'certificates', 'broker-store.pem'))
  const addresses = (await freePorts(3)).map((port) => `127.0.0.1:${port}`)
  const [sasl = '', saslTls = '', mutualTls = ''] = addresses
  const login = (
    listener: string,
  ) => `listener.name.${listener}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.${listener}.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_${KAFKA_USER}="${password}";
listener.name.${listener}.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.${listener}.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.${listener}.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="${KAFKA_USER}";
`
  return {
    ...{ authority, sasl, saslTls, mutualTls },
    listeners: `LOGIN://${sasl},LOGINTLS://${saslTls},MUTUAL://${mutualTls}`,
    protocols: 'LOGIN:SASL_PLAINTEXT,LOGINTLS:SASL_SSL,MUTUAL:SSL',
    properties: `${login('login')}${login('logintls')}ssl.keystore.type=PEM
ssl.keystore.location=${store}
ssl.truststore.type=PEM
ssl.truststore.location=${authority.ca}
listener.name.mutual.ssl.client.auth=required
`,
    formatArgs: ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
      '--add-scram',
      `${mechanism}=[name=${KAFKA_USER},password=${password}]`,
    ]),
  }
}

/** A token of {@link KAFKA_USER} that nobody signed, as this Kafka takes it. */
export function unsignedToken(lifetimeSeconds = 300): string {
  const now = Math.floor(Date.now() / 1000)
  const parts = [{ alg: 'none' }, { sub: KAFKA_USER, iat: now, exp: now + lifetimeSeconds }]
  return `${parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`
}

/** Gives {@link KAFKA_USER} another password for SCRAM-SHA-512, on the running broker at the plain address. */
export async function changePassword(libs: string, plain: string, password: string): Promise<void> {
  const change = ['--alter', '--add-config', `SCRAM-SHA-512=[password=${password}]`]
  const who = ['--bootstrap-server', plain, '--entity-type', 'users', '--entity-name', KAFKA_USER]
  await run('java', ['-cp', libs, 'kafka.admin.ConfigCommand', ...who, ...change])
}
