import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cachedBuild } from './cache-folder.ts'
import type { KafkaSecurity } from './kafka-security.ts'
import { freePorts, portAnswers, ServerProcess } from './server-process.ts'
import { requireTools } from './tools.ts'

const run = promisify(execFile)
const VERSION = '4.1.0'
/** Another one for those who ask whether that works, too. */
const ASKED = process.env['SLUICE_KAFKA_VERSION'] ?? VERSION
/** Any fixed 16 bytes in base64url: the brokers of one cluster must agree on it. */
const CLUSTER_ID = 'MkU3OEVBNTcwNTJENDM2Qg'

export interface Kafka {
  /** `host:port` of each broker. */
  readonly brokers: readonly string[]
  readonly processes: readonly ServerProcess[]
  /** Class path of Kafka and its tools. */
  readonly libs: string
  stop(): Promise<void>
}

/** Fetches the jars by Maven, once; the folder that holds them. */
export function installKafka(): Promise<string> {
  return cachedBuild(`kafka-${ASKED}`, async (folder) => {
    requireTools('Kafka', ['java', 'mvn'])
    writeFileSync(
      join(folder, 'pom.xml'),
      `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>sluice</groupId><artifactId>kafka</artifactId><version>1</version><dependencies><dependency>
<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${ASKED}</version>
</dependency></dependencies></project>`,
    )
    await run('mvn', ['-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=libs'], { cwd: folder })
  })
}

/**
 * Starts a cluster of combined broker and controller processes in KRaft mode below `folder`.
 * With one broker replication is 1; with three it is 3 and min ISR 2.
 */
export async function startKafka(
  folder: string,
  options: { brokers: 1 | 3; ports?: readonly number[]; security?: KafkaSecurity },
): Promise<Kafka> {
  const libs = join(await installKafka(), 'libs', '*')
  const count = options.brokers
  const clientPorts = options.ports ?? (await freePorts(count))
  const controllerPorts = await freePorts(count)
  const voters = controllerPorts.map((port, index) => `${index + 1}@127.0.0.1:${port}`).join(',')
  const processes = await Promise.all(
    clientPorts.map(async (port, index) => {
      const home = join(folder, `kafka-${index + 1}`)
      mkdirSync(home, { recursive: true })
      const file = join(home, 'server.properties')
      writeFileSync(
        file,
        properties(
          { id: index + 1, home, port, controllerPort: controllerPorts[index] ?? 0, voters, count },
          options.security,
        ),
      )
      await run('java', [
        '-cp',
        libs,
        'kafka.tools.StorageTool',
        'format',
        '--ignore-formatted',
        '-t',
        CLUSTER_ID,
        '-c',
        file,
        ...(options.security?.formatArgs ?? []),
      ])
      const args = ['-Xmx512m', '-Xms128m', '-XX:+UseSerialGC', '-cp', libs, 'kafka.Kafka', file]
      const logFile = join(home, 'server.log')
      return new ServerProcess({
        name: `Kafka broker ${index + 1}`,
        command: 'java',
        args,
        logFile,
        probe: portAnswers(port),
      })
    }),
  )
  await Promise.all(processes.map((process) => process.start()))
  return {
    brokers: clientPorts.map((port) => `127.0.0.1:${port}`),
    processes,
    libs,
    stop: async () => {
      await Promise.all(processes.map((process) => process.stop('SIGKILL')))
    },
  }
}

function properties(
  node: { id: number; home: string; port: number; controllerPort: number; voters: string; count: number },
  security: KafkaSecurity | undefined,
): string {
  const also = (text: string | undefined) => (text === undefined ? '' : `,${text}`)
  const minIsr = node.count > 1 ? 2 : 1
  return `process.roles=broker,controller
node.id=${node.id}
controller.quorum.voters=${node.voters}
listeners=PLAINTEXT://127.0.0.1:${node.port},CONTROLLER://127.0.0.1:${node.controllerPort}${also(security?.listeners)}
advertised.listeners=PLAINTEXT://127.0.0.1:${node.port}${also(security?.listeners)}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT${also(security?.protocols)}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=${join(node.home, 'data')}
auto.create.topics.enable=false
offsets.topic.replication.factor=${node.count}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=${node.count}
transaction.state.log.min.isr=${minIsr}
min.insync.replicas=${minIsr}
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=6000
${security?.properties ?? ''}`
}
