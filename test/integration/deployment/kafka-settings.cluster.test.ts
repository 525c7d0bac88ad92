import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { tempFolder } from '../../helpers.ts'
import { installKafka } from '../../../load-tests/servers/kafka.ts'
import { freePorts, portAnswers, ServerProcess } from '../../../load-tests/servers/server-process.ts'
import { loadCompose } from './compose-file.ts'

const run = promisify(execFile)

/**
 * Runs what the image's entry point runs: Kafka's own wrapper makes the properties out of the variables and formats the
 * data folder. The path of the properties.
 */
async function setUp(name: string, changes: (value: string) => string): Promise<{ file: string; libs: string }> {
  const libs = join(await installKafka(), 'libs', '*')
  const folder = tempFolder()
  for (const part of ['default', 'mounted', 'final']) mkdirSync(join(folder, part))
  for (const part of ['server.properties', 'log4j2.yaml', 'tools-log4j2.yaml']) {
    writeFileSync(join(folder, 'default', part), '')
  }
  const given = Object.entries(loadCompose().services[name]?.environment ?? {})
  const local = (value: string) => changes(value).replace('/var/lib/kafka/data', join(folder, 'data'))
  const env = Object.fromEntries(given.map(([variable, value]) => [variable, local(String(value))]))
  const args = ['setup', '-D', 'default', '-M', 'mounted', '-F', 'final']
  const options = { cwd: folder, env: { PATH: process.env['PATH'], ...env } }
  await run('java', ['-cp', libs, 'kafka.docker.KafkaDockerWrapper', ...args], options)
  return { file: join(folder, 'final/server.properties'), libs }
}

describe('the Kafka of docker-compose.yml', () => {
  it('flushes each message, seen on a running broker', async () => {
    const [port = 0, controller = 0] = await freePorts(2)
    const { file, libs } = await setUp('kafka', (value) =>
      value
        .replace(':9092', `:${port}`)
        .replace(':9093', `:${controller}`)
        .replaceAll('://:', '://127.0.0.1:')
        .replace('//kafka:', '//127.0.0.1:')
        .replace('@kafka:', '@127.0.0.1:'),
    )
    const args = ['-Xmx512m', '-XX:+UseSerialGC', '-cp', libs, 'kafka.Kafka', file]
    const logFile = `${file}.log`
    const server = new ServerProcess({ name: 'Kafka', command: 'java', args, logFile, probe: portAnswers(port) })
    await server.start()
    onTestFinished(() => server.stop('SIGKILL'))
    const admin = new Kafka({ brokers: [`127.0.0.1:${port}`], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    onTestFinished(() => admin.disconnect())
    await admin.createTopics({ topics: [{ topic: 'any', numPartitions: 1 }], waitForLeaders: true })
    // 2 = a topic, in the protocol.
    const configNames = ['flush.messages', 'min.insync.replicas']
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: 2, name: 'any', configNames }],
    })
    const entries = resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue])
    expect(Object.fromEntries(entries ?? [])).toEqual({ 'flush.messages': '1', 'min.insync.replicas': '1' })
  })

  it.each(['kafka-1', 'kafka-2', 'kafka-3'])('%s needs two of three copies', async (name) => {
    const { file } = await setUp(name, (value) => value)
    const properties = readFileSync(file, 'utf8').split('\n')
    expect(properties).toEqual(
      expect.arrayContaining([
        `node.id=${name.at(-1)}`,
        'min.insync.replicas=2',
        'default.replication.factor=3',
        'controller.quorum.voters=1@kafka-1:9093,2@kafka-2:9093,3@kafka-3:9093',
      ]),
    )
    expect(properties.filter((line) => line.includes('flush'))).toEqual([])
  })
})
