import { basename } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  aedesKnowers,
  backDoors,
  crossings,
  groundBreakers,
  importCircles,
  misplacedEngines,
  missingInvariants,
  upwardImports,
} from './room-rules.ts'
import { sourceOf, sourcesBelow, type Source } from './sources.ts'

const production = sourcesBelow('services', 'shared', 'config')
// But for this file, whose strings hold imports that break the rules.
const everything = [...production, ...sourcesBelow('load-tests', 'docs', 'test')].filter(
  ({ path }) => path !== 'test/conventions-rooms.test.ts',
)

/** The files with these in their place, or added. */
function withFiles(sources: readonly Source[], ...planted: readonly [path: string, text: string][]): Source[] {
  const paths = planted.map(([path]) => path)
  return [
    ...sources.filter(({ path }) => !paths.includes(path)),
    ...planted.map(([path, text]) => sourceOf(path, text)),
  ]
}

describe('import circles', () => {
  it('there are none, types included', () => {
    expect(importCircles(everything)).toEqual([])
  })

  it('one that is planted is seen, of types and over three files too', () => {
    const two = withFiles(everything, ['shared/acl.ts', "import type { Principal } from '../config/broker.ts'\n"])
    const closed = withFiles(two, ['config/broker.ts', "export { canPublish } from '../shared/acl.ts'\n"])
    expect(importCircles(closed)).toContainEqual(['config/broker.ts', 'shared/acl.ts'])
    const three = importCircles([
      sourceOf('a/a.ts', "import '../b/b.ts'"),
      sourceOf('b/b.ts', "const c = await import('./c.ts')"),
      sourceOf('b/c.ts', "import type { A } from '../a/a.ts'"),
      sourceOf('b/d.ts', "import type { A } from '../a/a.ts'"),
    ])
    expect(three).toEqual([['a/a.ts', 'b/b.ts', 'b/c.ts']])
  })
})

describe('the rooms of services/broker', () => {
  it('none imports from a room above it', () => {
    expect(upwardImports(production)).toEqual([])
  })

  it('an import that points up, and a file in no room, are seen', () => {
    const planted = withFiles(
      production,
      ['services/broker/mqtt/planted.ts', "import type { Tally } from '../metrics.ts'"],
      ['services/broker/cluster/planted.ts', "import type { Sessions } from '../sessions/sessions.ts'"],
      ['services/broker/helpers/planted.ts', ''],
    )
    expect(upwardImports(planted)).toEqual([
      'services/broker/helpers/planted.ts lies in no room',
      'services/broker/mqtt/planted.ts -> services/broker/metrics.ts',
      'services/broker/cluster/planted.ts -> services/broker/sessions/sessions.ts',
    ])
  })

  it('mqtt/ is the ground: it knows no other room, no socket and no aedes', () => {
    expect(groundBreakers(production)).toEqual([])
    const planted = withFiles(
      production,
      ['services/broker/mqtt/a.ts', "import { connect } from 'node:net'"],
      ['services/broker/mqtt/b.ts', "import type { Router } from '../telemetry/routes.ts'"],
      ['services/broker/mqtt/c.ts', '// aedes wants it so'],
    )
    expect(groundBreakers(planted)).toEqual([
      'services/broker/mqtt/a.ts -> node:net',
      'services/broker/mqtt/b.ts -> services/broker/telemetry/routes.ts',
      'services/broker/mqtt/c.ts speaks of aedes or of sockets',
    ])
  })

  it('only sessions/ knows aedes, and only one file there what aedes does not declare', () => {
    expect(aedesKnowers(production)).toEqual([])
    const planted = withFiles(
      production,
      ['services/broker/cluster/a.ts', "import type { Client } from 'aedes'"],
      ['services/broker/connection/b.ts', "import mqemitter from 'mqemitter'"],
      ['shared/c.ts', "import persistence from 'aedes-persistence'"],
      ['services/broker/connection/d.ts', 'client._nextId = 1'],
      ['services/broker/sessions/e.ts', 'const { will } = client as Client & { will: unknown }'],
      ['services/broker/connection/f.ts', '// aedes.persistence is not for here'],
    )
    expect(aedesKnowers(planted)).toEqual([
      'services/broker/cluster/a.ts -> aedes',
      'services/broker/connection/b.ts -> mqemitter',
      'shared/c.ts -> aedes-persistence',
      'services/broker/connection/d.ts touches what aedes does not declare',
      'services/broker/sessions/e.ts casts to a type of aedes',
    ])
  })
})

describe('the engines of a port', () => {
  it('each lies in a folder of its own, which only main files open', () => {
    expect(misplacedEngines(production)).toEqual([])
  })

  it('a port without one, a folder that is none, and who opens or imports one are seen', () => {
    const planted = withFiles(
      production,
      ['shared/queue/port.ts', ''],
      ['shared/queue/postgres.ts', 'export function openPostgresQueue() {}'],
      ['shared/cache/disk/cache.ts', ''],
      ['services/broker/broker.ts', "import { openKafkaLog } from '../../shared/log/kafka/open.ts'"],
      ['shared/log/kafka/topics.ts', "import { Segment } from '../sqlite/segment.ts'"],
    )
    expect(misplacedEngines(planted)).toEqual([
      'shared/queue: no engine',
      'shared/cache/disk: no open.ts',
      'shared/log/kafka/topics.ts -> shared/log/sqlite/segment.ts',
      'services/broker/broker.ts -> shared/log/kafka/open.ts',
    ])
  })
})

describe('doors', () => {
  /** What others may import of a service; its own tests, under its path, see all of it. */
  const doors = {
    'services/simulator': [
      ...['simulation.ts', 'simulation-report.ts', 'load-run.ts', 'latency-histogram.ts'],
      ...['fleet.ts', 'workload.ts', 'csv-workload.ts'],
    ],
    // For a known-wrong migration, and for the report of a true one.
    'services/cli': ['migrate/main.ts'],
  }
  const ownTests = (folder: string) => [`test/unit/${folder}/`, `test/integration/${basename(folder)}/`]
  const backDoorsOf = (sources: readonly Source[]) =>
    Object.entries(doors).flatMap(([folder, files]) => {
      const strangers = sources.filter(({ path }) => !ownTests(folder).some((own) => path.startsWith(own)))
      return backDoors(strangers, folder, files)
    })

  it('the simulator and the CLI are used through theirs', () => {
    expect(backDoorsOf(everything)).toEqual([])
  })

  it('a stranger inside is seen', () => {
    const planted = withFiles(
      [],
      ['load-tests/a.ts', "import { Outbox } from '../services/simulator/mqtt/outbox.ts'"],
      ['services/cli/b.ts', "import { Ledger } from '../simulator/verification/ledger.ts'"],
      ['services/cli/c.ts', "import { LoadRun } from '../simulator/load-run.ts'"],
      ['test/e2e/d.ts', "import { Session } from '../../services/cli/session.ts'"],
      ['test/integration/cli/e.ts', "import { Session } from '../../../services/cli/session.ts'"],
      ['test/integration/cli/f.ts', "import { Ledger } from '../../../services/simulator/verification/ledger.ts'"],
    )
    expect(backDoorsOf(planted)).toEqual([
      'load-tests/a.ts -> services/simulator/mqtt/outbox.ts',
      'services/cli/b.ts -> services/simulator/verification/ledger.ts',
      'test/integration/cli/f.ts -> services/simulator/verification/ledger.ts',
      'test/e2e/d.ts -> services/cli/session.ts',
    ])
  })
})

describe('load tests', () => {
  it.each(['test', 'services/cli'])('import nothing of %s', (folder) => {
    expect(crossings(everything, 'load-tests', folder)).toEqual([])
    const planted = withFiles(everything, ['load-tests/a.ts', `import { a } from '../${folder}/main.ts'`])
    expect(crossings(planted, 'load-tests', folder)).toEqual([`load-tests/a.ts -> ${folder}/main.ts`])
  })
})

describe('files that hold an invariant', () => {
  const holders = [
    'services/broker/cluster/fence.ts',
    'services/broker/connection/client.ts',
    'services/broker/mqtt/ack-queue.ts',
    'services/broker/mqtt/packet-buffer.ts',
    'services/broker/telemetry/forwarder.ts',
    'services/ingest-worker/checkpoint.ts',
    'shared/log/sqlite/segment.ts',
    'shared/points/sqlite/generation.ts',
  ]

  it('begin with it', () => {
    expect(missingInvariants(production, holders)).toEqual([])
  })

  it('one that is gone, or begins with something else, is seen', () => {
    const planted = withFiles(production, [
      'services/broker/cluster/fence.ts',
      "import './scripts.ts'\n// Invariant: none",
    ])
    const gone = planted.filter(({ path }) => path !== 'services/broker/mqtt/ack-queue.ts')
    expect(missingInvariants(gone, holders)).toEqual([
      'services/broker/cluster/fence.ts',
      'services/broker/mqtt/ack-queue.ts',
    ])
  })
})
