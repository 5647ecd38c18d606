/**
 * Tar: an archive as a list of files, and back, as far as bundles need it.
 *
 * Our own, and strict, because signatures are checked over what it finds: `nanotar` reads half of a long
 * name, ends at a header it cannot read as if the archive ended there, and keeps the last of two files
 * with one name. What it writes depends on the files alone, so that a build can be repeated.
 */

export interface TarFile {
  /** With forward slashes, relative: never `../`, `..` or a leading slash. */
  readonly name: string
  readonly bytes: Uint8Array
}

/** Not an archive of plain files. `code` is `bad_archive`. */
export class TarError extends Error {
  override readonly name = 'TarError'
  readonly code = 'bad_archive'
}

const BLOCK = 512
/** Where each field of a header stands, and how long it is (POSIX ustar). */
const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  magic: [257, 8],
  prefix: [345, 155],
} as const
type Field = keyof typeof FIELD

/** @returns files in their order; folders are left out. @throws TarError */
export function readTar(archive: Uint8Array): TarFile[] {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength)
  const files = new Map<string, TarFile>()
  let longName: string | undefined
  for (let at = 0; at + BLOCK <= bytes.length; ) {
    const header = bytes.subarray(at, at + BLOCK)
    if (header.every(byte => byte === 0)) return [...files.values()]
    const size = sizeIn(header)
    const content = bytes.subarray(at + BLOCK, at + BLOCK + size)
    if (content.length < size) throw new TarError('the archive ends inside a file')
    at += BLOCK + padded(size)

    const type = text(header, 'type') || '0'
    if (type === 'x') longName = paxPath(content) ?? longName
    else if (type === 'L') longName = untilZero(content)
    else if (type === '0') {
      const name = clean(longName ?? nameIn(header))
      // Which of two files counts would be for each reader to choose.
      if (files.has(name)) throw new TarError(`${name} is in the archive twice`)
      files.set(name, { name, bytes: content })
      longName = undefined
    } else if (type === '5') longName = undefined
    else if (type !== 'g') throw new TarError(`the archive holds something that is no file (type ${type})`)
  }
  if (files.size === 0) throw new TarError('the archive is empty')
  return [...files.values()]
}

/** @param files - Names may have any length. */
export function writeTar(files: readonly TarFile[]): Buffer {
  const blocks = files.flatMap(({ name, bytes }) => {
    const long = Buffer.byteLength(name) > FIELD.name[1]
    return [...(long ? entry('x', 'pax', paxRecord('path', name)) : []), ...entry('0', name, bytes)]
  })
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)])
}

function entry(type: string, name: string, bytes: Uint8Array): Uint8Array[] {
  const header = Buffer.alloc(BLOCK)
  const put = (field: Field, value: string): void =>
    void header.write(value, FIELD[field][0], FIELD[field][1])
  put('name', name)
  put('mode', '0000644\0')
  put('uid', '0000000\0')
  put('gid', '0000000\0')
  put('size', `${bytes.length.toString(8).padStart(11, '0')}\0`)
  put('mtime', '00000000000\0')
  put('type', type)
  put('magic', 'ustar\x0000')
  put('checksum', `${checksumOf(header).toString(8).padStart(6, '0')}\0 `)
  return [header, bytes, Buffer.alloc(padded(bytes.length) - bytes.length)]
}

function text(header: Buffer, field: Field): string {
  const [start, length] = FIELD[field]
  return untilZero(header.subarray(start, start + length))
}

function untilZero(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end)
}

function nameIn(header: Buffer): string {
  const prefix = text(header, 'magic') === 'ustar' ? text(header, 'prefix') : ''
  return prefix === '' ? text(header, 'name') : `${prefix}/${text(header, 'name')}`
}

function sizeIn(header: Buffer): number {
  if (Number.parseInt(text(header, 'checksum').trim(), 8) !== checksumOf(header))
    throw new TarError('not a tar archive')
  const size = text(header, 'size').trim()
  if (!/^[0-7]+$/.test(size)) throw new TarError('the archive has a file without a size')
  return Number.parseInt(size, 8)
}

/** The sum of a header's bytes, its own field taken for spaces. */
function checksumOf(header: Buffer): number {
  const [start, length] = FIELD.checksum
  return header.reduce((sum, byte, at) => sum + (at >= start && at < start + length ? 0x20 : byte), 0)
}

/** `LENGTH key=value\n`, the length counting itself. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`)
  let length = rest + 1
  while (rest + String(length).length !== length) length++
  return Buffer.from(`${length} ${key}=${value}\n`)
}

function paxPath(content: Buffer): string | undefined {
  let path: string | undefined
  for (let at = 0; at < content.length; ) {
    const length = Number.parseInt(content.toString('latin1', at, at + 12), 10)
    if (!(length > 0)) throw new TarError('the archive has a header that cannot be read')
    const record = /^\d+ ([^=]+)=([\s\S]*)\n$/.exec(content.toString('utf8', at, at + length))
    // A size given here would move every file after it.
    if (!record || record[1] === 'size') throw new TarError('the archive has a header that cannot be read')
    if (record[1] === 'path') path = record[2]
    at += length
  }
  return path
}

function clean(name: string): string {
  const parts = name.split('/').filter(part => part !== '' && part !== '.')
  if (parts.length === 0 || parts.includes('..'))
    throw new TarError(`the archive has a file named ${JSON.stringify(name)}`)
  return parts.join('/')
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK
}
