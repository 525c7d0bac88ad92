import { expect, it } from 'vitest'
import { textTable } from '../../../shared/text-table.ts'

it('a table has columns as wide as their widest cell, and no line ends in blanks', () => {
  expect(
    textTable(
      ['device', 'n', 'tags'],
      [
        ['a/1', '12', ''],
        ['a/long-name', '', 'x=1'],
      ],
    ).split('\n'),
  ).toEqual(['device       n   tags', 'a/1          12', 'a/long-name      x=1'])
})

it('a table shows what could steer a terminal as escapes', () => {
  expect(textTable(['who', 'n'], [['a\u001b[2J\u009b\n', '1']])).toBe('who               n\na\\x1b[2J\\x9b\\x0a  1')
})
