import { describe, expect, it } from 'vitest'
import { acksBeforeSync } from '../../e2e/system-calls.ts'

const hex = (text: string | number[]) =>
  [...Buffer.from(text as string)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
const file = hex('/tmp/log-wal')
const data = hex('{"mark":1000007}')
const socket = 'TCP:[127.0.0.1:1883->127.0.0.1:5000]'

const write = `11 pwrite64(23<${file}>, "${data}", 16, 0) = 16`
const sync = `11 fdatasync(23<${file}>) = 0`
const ack = `10 write(25<${socket}>, "${hex([0x40, 2, 0, 7])}", 4) = 4`

describe('reading a trace of system calls', () => {
  it.for([
    { name: 'written, synced, acknowledged', lines: [write, sync, ack], early: 0 },
    { name: 'never synced', lines: [write, ack], early: 1 },
    { name: 'synced too late', lines: [write, ack, sync], early: 1 },
    { name: 'synced before it was written', lines: [sync, write, ack], early: 1 },
    { name: 'another file synced', lines: [write, sync.replace(file, hex('/tmp/other')), ack], early: 1 },
    {
      name: 'acknowledged while the sync runs',
      lines: [write, `11 fdatasync(23<${file}> <unfinished ...>`, ack, '11 <... fdatasync resumed>) = 0'],
      early: 1,
    },
    {
      name: 'acknowledged after a sync that was interrupted by other lines',
      lines: [
        write,
        `11 fdatasync(23<${file}> <unfinished ...>`,
        '12 +++ exited +++',
        '11 <... fdatasync resumed>) = 0',
        ack,
      ],
      early: 0,
    },
  ])('$name', ({ lines, early }) => {
    expect(acksBeforeSync(lines.join('\n'), 1883)).toEqual({ acks: 1, early })
  })
})
