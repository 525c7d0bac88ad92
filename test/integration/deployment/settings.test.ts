import { describe, expect, it } from 'vitest'
import { cliSettings } from '../../../config/cli.ts'
import { brokerProcessSettings, ingestWorkerProcessSettings, queryApiProcessSettings } from '../../../config/cluster.ts'
import { loadConfig, type Settings } from '../../../shared/config.ts'
import { loadCompose } from './compose-file.ts'

const tables: Record<string, Settings> = {
  broker: brokerProcessSettings,
  'ingest-worker': ingestWorkerProcessSettings,
  'query-api': queryApiProcessSettings,
  cli: cliSettings,
}

/** What a container is given that its service does not read, or reads and cannot take, or lacks. */
function problems(settings: Settings, environment: Readonly<Record<string, string>>): string[] {
  const fileOf = (name: string) => `${name}_FILE`
  const known = new Set(
    Object.entries(settings).flatMap(([name, { secret }]) => (secret === true ? [name, fileOf(name)] : [name])),
  )
  const unknown = Object.keys(environment).filter((name) => !known.has(name))
  const missing = Object.entries(settings)
    .filter(([name, { required }]) => required === true && !(name in environment) && !(fileOf(name) in environment))
    .map(([name]) => name)
  const plain = Object.fromEntries(Object.entries(environment).filter(([name]) => !name.endsWith('_FILE')))
  const optional = Object.fromEntries(Object.entries(settings).filter(([, { required }]) => required !== true))
  loadConfig(optional, plain)
  return [...unknown.map((name) => `unknown ${name}`), ...missing.map((name) => `missing ${name}`)]
}

function environmentOf(name: string): Record<string, string> {
  const entries = Object.entries(loadCompose().services[name]?.environment ?? {})
  return Object.fromEntries(entries.map(([variable, value]) => [variable, String(value)]))
}

describe.each(Object.entries(tables))('%s in docker-compose.yml', (name, settings) => {
  it('is given settings that it has, and all that it must be given', () => {
    expect(environmentOf(name)).not.toEqual({})
    expect(problems(settings, environmentOf(name))).toEqual([])
  })
})

describe('the settings of a container', () => {
  const given = environmentOf('query-api')

  it('are refused when the service has none of that name', () => {
    expect(problems(queryApiProcessSettings, { ...given, KAFKA_BROKER: 'kafka:9092' })).toEqual([
      'unknown KAFKA_BROKER',
    ])
    expect(problems(queryApiProcessSettings, { ...given, LOG_LEVEL_FILE: '/x' })).toEqual(['unknown LOG_LEVEL_FILE'])
  })

  it('are refused when one is missing', () => {
    const rest = Object.fromEntries(Object.entries(given).filter(([name]) => name !== 'MARIADB_URL_FILE'))
    expect(problems(queryApiProcessSettings, rest)).toEqual(['missing MARIADB_URL'])
  })

  it('are refused when the service cannot read one', () => {
    expect(() => problems(queryApiProcessSettings, { ...given, LOG_REPLICATION: '2' })).toThrow('LOG_REPLICATION')
  })

  it('say the same of the log and the key in every service', () => {
    const common = ['KAFKA_BROKERS', 'LOG_REPLICATION', 'CREDENTIAL_KEY_FILE', 'MARIADB_URL_FILE']
    const of = (name: string) => common.map((variable) => environmentOf(name)[variable])
    expect(of('broker')).not.toContain(undefined)
    expect(of('ingest-worker')).toEqual(of('broker'))
    expect(of('query-api')).toEqual(of('broker'))
  })
})
