import { expect, it } from 'vitest'
import { unknownNames } from '../../../config/all-settings.ts'
import { cliSettings } from '../../../config/cli.ts'
import { brokerProcessSettings, queryApiProcessSettings } from '../../../config/cluster.ts'
import { standaloneSettings } from '../../../config/standalone.ts'
import { runAgainst } from '../../integration/cli/fake-service.ts'

it.each([
  ['MQTT_PROT', 'there is no such setting; was MQTT_PORT meant?'],
  ['MQTT_PORTS', 'there is no such setting; was MQTT_PORT meant?'],
  ['LOG_LEVE', 'there is no such setting; was LOG_LEVEL meant?'],
  ['Log_Level', 'there is no such setting; was LOG_LEVEL meant?'],
  ['KAFKA_BROKER', 'there is no such setting; was KAFKA_BROKERS meant?'],
  ['MARIADB_URL_FLIE', 'there is no such setting; was MARIADB_URL_FILE meant?'],
  ['LOG_LEVEL_FILE', 'LOG_LEVEL is not read from a file: only secrets are'],
])('%s is named', (name, reason) => {
  expect(unknownNames({ [name]: 'x', PATH: '/bin' })).toEqual([{ name, reason }])
})

it('no setting of any process is, with or without its file, nor an empty name', () => {
  const tables = [standaloneSettings, brokerProcessSettings, queryApiProcessSettings, cliSettings]
  const names = tables.flatMap((table) => Object.keys(table))
  expect(unknownNames(Object.fromEntries(names.map((name) => [name, '1'])))).toEqual([])
  expect(
    unknownNames({ MARIADB_URL_FILE: '/x', MQTT_TLS_CERT_FILE: '/x', MQTT_PROT: '', LOG_LEVLE: undefined }),
  ).toEqual([])
})

it('names of other programs are theirs', () => {
  const theirs = [
    ...[
      'HTTP_PROXY',
      'HTTPS_PROXY',
      'NO_PROXY',
      'http_proxy',
      'HTTP_HOST',
      'NODE_ENV',
      'NODE_OPTIONS',
      'NODE_IP',
      'NODE_PATH',
    ],
    ...[
      'NODE_NAME',
      'HOSTNAME',
      'HOME',
      'PATH',
      'PWD',
      'SHLVL',
      'LANG',
      'LC_ALL',
      'TERM',
      'TZ',
      'USER',
      'LOGNAME',
      'DISPLAY',
    ],
    ...[
      'XDG_DATA_DIRS',
      'XDG_DATA_HOME',
      'TMPDIR',
      'SSL_CERT_FILE',
      'SSL_CERT_DIR',
      'NODE_EXTRA_CA_CERTS',
      'DEBUG',
      'CI',
    ],
    ...[
      'KAFKA_HOME',
      'KAFKA_OPTS',
      'KAFKA_HEAP_OPTS',
      'KAFKA_PORT',
      'KAFKA_SERVICE_HOST',
      'KAFKA_SERVICE_PORT',
      'KAFKA_LOG_DIRS',
    ],
    ...[
      'REDIS_URL',
      'REDIS_HOST',
      'REDIS_PORT',
      'REDIS_PASSWORD',
      'INFLUX_HOST',
      'INFLUX_CONFIGS_PATH',
      'INFLUXDB_TOKEN',
    ],
    ...[
      'MARIADB_ROOT_PASSWORD',
      'MARIADB_DATABASE',
      'MARIADB_USER',
      'MARIADB_PORT',
      'MYSQL_HOST',
      'DATABASE_URL',
      'PORT',
    ],
    ...[
      'MQTT_HOST',
      'MQTT_USER',
      'MQTT_PASSWORD',
      'MQTT_TOPIC',
      'MQTT_PORT_1883_TCP',
      'MQTT_SERVICE_PORT',
      'LOG_DIR',
      'LOG_FILE',
    ],
    ...[
      'KUBERNETES_PORT',
      'KUBERNETES_SERVICE_HOST',
      'SLUICE_USER',
      'TLS_NAME',
      'INGEST_WORKERS',
      'BROKERS',
      'EDGE_SUBNET',
      'HAPROXY_MAXCONN',
      'COMPOSE_PROJECT_NAME',
    ],
    ...[
      'npm_config_cache',
      'VITEST',
      'NODE_VERSION',
      'YARN_VERSION',
      'JAVA_HOME',
      'SSH_CONNECTION',
      'DRAIN',
      'WAIT_FOR',
    ],
  ]
  expect(unknownNames(Object.fromEntries(theirs.map((name) => [name, '1'])))).toEqual([])
})

it('config explain names them', async () => {
  const { code, stderr } = await runAgainst('', ['config', 'explain'], { env: { MQTT_PROT: '1883' } })
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: 'MQTT_PROT is ignored: there is no such setting; was MQTT_PORT meant?\n',
  })
})
