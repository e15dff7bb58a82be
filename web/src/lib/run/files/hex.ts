/** The first bytes of a file as a hex dump: place, 16 bytes, and what of them is ASCII. */
export interface HexLine {
  place: string;
  bytes: string;
  text: string;
}

const WIDTH = 16;

export function hexLines(bytes: Uint8Array): HexLine[] {
  const lines: HexLine[] = [];
  for (let start = 0; start < bytes.length; start += WIDTH) {
    const part = [...bytes.subarray(start, start + WIDTH)];
    const hex = part.map((byte) => byte.toString(16).padStart(2, "0"));
    lines.push({
      place: start.toString(16).padStart(8, "0"),
      bytes: `${hex.slice(0, 8).join(" ")}  ${hex.slice(8).join(" ")}`.trimEnd(),
      text: part.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join(""),
    });
  }
  return lines;
}
