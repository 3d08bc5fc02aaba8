//! Where two texts differ, in lines.

/// Lines of a difference that are shown, of each text.
const LINES_MOST: usize = 20;
const CONTEXT: usize = 2;

/// The lines between what both begin and end with, with a little of that around.
pub fn diff(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let same = |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| pairs.take_while(|(one, other)| one == other).count();
    let start = same(&mut expected.iter().zip(&actual));
    let left = expected.len().min(actual.len()) - start;
    let end = same(&mut expected.iter().rev().zip(actual.iter().rev())).min(left);
    if start == expected.len() && start == actual.len() {
        return "(they differ in line ends, or at the very end)".into();
    }

    let from = start.saturating_sub(CONTEXT);
    let mut lines = vec![format!("@@ line {} @@", start + 1)];
    lines.extend(expected[from..start].iter().map(|line| format!("  {line}")));
    for (sign, all) in [('-', &expected), ('+', &actual)] {
        let changed = &all[start..all.len() - end];
        lines.extend(changed.iter().take(LINES_MOST).map(|line| format!("{sign} {line}")));
        if changed.len() > LINES_MOST {
            lines.push(format!("{sign} … {} lines more", changed.len() - LINES_MOST));
        }
    }
    let after = &expected[expected.len() - end..];
    lines.extend(after.iter().take(CONTEXT).map(|line| format!("  {line}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_left_out() {
        let text = diff("a\nb\nc\nd\ne\nf", "a\nb\nc\nX\nY\ne\nf");
        assert_eq!(text, "@@ line 4 @@\n  b\n  c\n- d\n+ X\n+ Y\n  e\n  f");
        assert_eq!(diff("a", "a\nb"), "@@ line 2 @@\n  a\n+ b");
        assert_eq!(diff("a\na", "a"), "@@ line 2 @@\n  a\n- a");
        assert!(diff("a\n", "a").starts_with("(they differ"));
        let long: String = (0..50).map(|n| format!("{n}\n")).collect();
        assert!(diff("", &long).contains("+ … 30 lines more"));
    }
}
