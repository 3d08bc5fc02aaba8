//! Invents packages from a seed. Projects are invented one after another; each brings the packages
//! a distribution would make of it: a program, its data, library, headers, manual and bindings.

use std::collections::HashSet;

use crate::{
    grammar::{Grammar, Subject},
    package::Package,
    random::{Random, Zipf},
    words::{self, Section},
};

/// Packages depend only on earlier ones, so every target is in the catalogue.
pub(crate) fn packages(count: u32, seed: u64) -> Vec<Package> {
    let mut inventor = Inventor::new(seed);
    let mut packages = Vec::with_capacity(count as usize);
    while packages.len() < count as usize {
        inventor.project(&mut packages);
    }
    packages.truncate(count as usize);
    packages
}

/// Names that others depend on, the earliest most.
#[derive(Debug, Default)]
struct Popular {
    names: Vec<String>,
    zipf: Zipf,
}

impl Popular {
    fn add(&mut self, name: &str) {
        self.names.push(name.to_owned());
        self.zipf.grow();
    }

    fn sample(&self, random: &mut Random) -> Option<&String> {
        self.zipf.sample(random).map(|rank| &self.names[rank])
    }
}

#[derive(Debug)]
struct Inventor {
    random: Random,
    grammar: Grammar,
    sections: Zipf,
    languages: Zipf,
    interfaces: Zipf,
    taken: HashSet<String>,
    libraries: Popular,
    headers: Popular,
    bindings: Popular,
    programs: Popular,
}

/// What the packages of one project have in common.
#[derive(Debug)]
struct Project {
    name: String,
    version: String,
    section: &'static Section,
    topic: &'static str,
    summary: String,
    description: String,
    homepage: Option<String>,
    maintainer: String,
    language: &'static str,
    tagged: bool,
}

/// Where a package differs from its project.
#[derive(Debug, Default)]
struct Variant<'a> {
    name: String,
    /// Its project's section when empty.
    section: &'a str,
    /// Goes behind the summary, in brackets, and tells the description's last paragraph.
    part: Option<(&'a str, &'a str)>,
    tags: Vec<String>,
    dependencies: Vec<String>,
    /// 2 to the power of these, in bytes.
    size_log2: (u64, u64),
}

impl Inventor {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            grammar: Grammar::new(),
            sections: Zipf::of(words::SECTIONS.len()),
            languages: Zipf::of(words::LANGUAGES.len()),
            interfaces: Zipf::of(words::INTERFACES.len()),
            taken: HashSet::new(),
            libraries: Popular::default(),
            headers: Popular::default(),
            bindings: Popular::default(),
            programs: Popular::default(),
        }
    }

    /// Adds the packages of one new project, those that others of it depend on first.
    fn project(&mut self, packages: &mut Vec<Package>) {
        let project = self.common();
        // The very first is a library, so that later packages have something to depend on.
        let library = packages.is_empty() || self.random.chance(45);
        let program = !library || self.random.chance(50);

        let mut own = Vec::new();
        if program && self.random.chance(20) {
            own.push(self.data(&project, packages));
        }
        if library {
            let runtime = self.library(&project, packages);
            if self.random.chance(80) {
                self.header(&project, &runtime, packages);
            }
            if self.random.chance(30) {
                self.binding(&project, &runtime, packages);
            }
            own.push(runtime);
        }
        if self.random.chance(20) {
            self.manual(&project, packages);
        }
        if program {
            self.program(&project, own, packages);
        }
    }

    fn common(&mut self) -> Project {
        let name = self.name();
        let rank = self.sections.sample(&mut self.random).expect("BUG: there are no sections");
        let section = &words::SECTIONS[rank];
        let topic = self.random.pick(section.topics);
        let subject = Subject { project: &name, topic };
        let language = self.languages.sample(&mut self.random).expect("BUG: there are no languages");
        Project {
            summary: self.grammar.summary(subject, &mut self.random),
            description: self.grammar.description(subject, &mut self.random),
            homepage: self.random.chance(90).then(|| format!("https://{name}.example.org/")),
            version: self.version(),
            maintainer: self.maintainer(section),
            language: words::LANGUAGES[language],
            tagged: self.random.chance(55),
            name,
            section,
            topic,
        }
    }

    /// A name no project has yet; it ends in a letter, so that a library's number can follow.
    fn name(&mut self) -> String {
        let mut name = self.random.pick(words::STARTS).to_owned();
        if self.random.chance(60) {
            name.push_str(self.random.pick(words::MIDDLES));
        }
        if self.random.chance(10) {
            name.push('-');
        }
        name.push_str(self.random.pick(words::ENDS));
        while !self.taken.insert(name.clone()) {
            name.push_str(self.random.pick(words::MIDDLES));
            name.push_str(self.random.pick(words::ENDS));
        }
        name
    }

    fn version(&mut self) -> String {
        let random = &mut self.random;
        let epoch = if random.chance(4) { "1:" } else { "" };
        let (major, minor, revision) = (random.below(9), random.below(30), random.between(1, 6));
        match random.below(10) {
            0 => format!(
                "{epoch}{}.{:02}.{:02}-{revision}",
                2012 + random.below(13),
                random.between(1, 12),
                random.between(1, 28)
            ),
            1..=5 => format!("{epoch}{major}.{minor}.{}-{revision}", random.below(20)),
            _ => format!("{epoch}{major}.{minor}-{revision}"),
        }
    }

    fn maintainer(&mut self, section: &Section) -> String {
        if self.random.chance(40) {
            return format!("The {} packagers", section.name);
        }
        format!("{} {}", self.random.pick(words::GIVEN_NAMES), self.random.pick(words::FAMILY_NAMES))
    }

    fn data(&mut self, project: &Project, packages: &mut Vec<Package>) -> String {
        let name = format!("{}-data", project.name);
        self.add(
            project,
            packages,
            Variant {
                name: name.clone(),
                part: Some(("data files", "These are the files every other part of it shares.")),
                tags: tags(["role::app-data"]),
                size_log2: (16, 29),
                ..Variant::default()
            },
        );
        name
    }

    fn library(&mut self, project: &Project, packages: &mut Vec<Package>) -> String {
        let name = format!("lib{}{}", project.name, self.random.below(9));
        let dependencies = self.popular(|inventor| &inventor.libraries, 4);
        self.add(
            project,
            packages,
            Variant {
                name: name.clone(),
                section: "libs",
                part: Some(("shared library", "Programs that were built with the library need this part to run.")),
                tags: tags(["role::shared-lib"]),
                dependencies,
                size_log2: (14, 24),
            },
        );
        self.libraries.add(&name);
        name
    }

    fn header(&mut self, project: &Project, runtime: &str, packages: &mut Vec<Package>) {
        let name = format!("lib{}-dev", project.name);
        let mut dependencies = vec![runtime.to_owned()];
        dependencies.extend(self.popular(|inventor| &inventor.headers, 3));
        self.add(
            project,
            packages,
            Variant {
                name: name.clone(),
                section: "libdevel",
                part: Some(("development files", "Take this part to build your own programs with the library.")),
                tags: vec![
                    "devel::library".to_owned(),
                    format!("devel::lang:{}", project.language),
                    "role::devel-lib".to_owned(),
                ],
                dependencies,
                size_log2: (13, 23),
            },
        );
        self.headers.add(&name);
    }

    fn binding(&mut self, project: &Project, runtime: &str, packages: &mut Vec<Package>) {
        let name = format!("python3-{}", project.name);
        let mut dependencies = vec![runtime.to_owned()];
        dependencies.extend(self.popular(|inventor| &inventor.bindings, 4));
        self.add(
            project,
            packages,
            Variant {
                name: name.clone(),
                section: "python",
                part: Some(("Python module", "With this part, Python programs can use the library.")),
                tags: tags(["devel::lang:python", "implemented-in::python", "role::shared-lib"]),
                dependencies,
                size_log2: (14, 22),
            },
        );
        self.bindings.add(&name);
    }

    fn manual(&mut self, project: &Project, packages: &mut Vec<Package>) {
        self.add(
            project,
            packages,
            Variant {
                name: format!("{}-doc", project.name),
                section: "doc",
                part: Some(("manual", "This part has the manual, with a worked example in each chapter.")),
                tags: tags(["made-of::html", "role::documentation"]),
                size_log2: (15, 25),
                ..Variant::default()
            },
        );
    }

    fn program(&mut self, project: &Project, mut dependencies: Vec<String>, packages: &mut Vec<Package>) {
        dependencies.extend(self.popular(|inventor| &inventor.libraries, 9));
        if self.random.chance(25) {
            dependencies.extend(self.popular(|inventor| &inventor.bindings, 5));
        }
        if self.random.chance(15) {
            dependencies.extend(self.popular(|inventor| &inventor.programs, 2));
        }
        let interface = self.interfaces.sample(&mut self.random).expect("BUG: there are no interfaces");
        let tags = vec![
            format!("implemented-in::{}", project.language),
            format!("interface::{}", words::INTERFACES[interface]),
            "role::program".to_owned(),
            format!("use::{}", self.grammar.verb(&mut self.random)),
            format!("works-with::{}", project.topic.to_lowercase().replace(' ', "-")),
        ];
        self.add(
            project,
            packages,
            Variant { name: project.name.clone(), tags, dependencies, size_log2: (15, 28), ..Variant::default() },
        );
        self.programs.add(&project.name);
    }

    /// Up to `most` popular names, in the order they were drawn.
    fn popular(&mut self, from: impl Fn(&Self) -> &Popular, most: u64) -> Vec<String> {
        let count = self.random.between(0, most);
        let mut random = self.random.clone();
        let names = (0..count).filter_map(|_| from(self).sample(&mut random).cloned()).collect();
        self.random = random;
        names
    }

    fn add(&mut self, project: &Project, packages: &mut Vec<Package>, variant: Variant<'_>) {
        let Variant { name, section, part, mut tags, dependencies, size_log2 } = variant;
        let (summary, description) = match part {
            None => (project.summary.clone(), project.description.clone()),
            Some((part, sentence)) => {
                (format!("{} ({part})", project.summary), format!("{}\n\n{sentence}", project.description))
            }
        };
        if !project.tagged {
            tags.clear();
        }
        let mut seen = HashSet::from([name.clone()]);
        packages.push(Package {
            version: project.version.clone(),
            section: if section.is_empty() { project.section.name } else { section }.to_owned(),
            summary,
            description,
            homepage: project.homepage.clone(),
            maintainer: project.maintainer.clone(),
            size_bytes: self.size_bytes(size_log2),
            tags,
            dependencies: dependencies.into_iter().filter(|target| seen.insert(target.clone())).collect(),
            name,
        });
    }

    /// Small sizes are as likely as large ones of any magnitude; whole KiB, as package indexes count.
    fn size_bytes(&mut self, (least, most): (u64, u64)) -> i64 {
        let magnitude = 1 << self.random.between(least, most - 1);
        let size = magnitude + self.random.below(magnitude);
        (size >> 10 << 10) as i64
    }
}

fn tags<const N: usize>(tags: [&str; N]) -> Vec<String> {
    tags.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::package::is_name;

    #[test]
    fn a_seed_decides_everything() {
        assert_eq!(packages(2000, 1), packages(2000, 1));
        assert_ne!(packages(2000, 1), packages(2000, 2));
        assert_eq!(packages(2000, 1)[..500], packages(500, 1));
    }

    /// Fails when a change of words or code changes what a seed gives: measurements that were made
    /// with one seed can then no longer be compared.
    #[test]
    fn a_seed_gives_what_it_always_gave() {
        let packages = packages(1000, 1);
        // FNV-1a, which will not change under us as the standard library's hash may.
        let digest = format!("{packages:?}")
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        assert_eq!((packages[0].name.as_str(), digest), ("libnelmo2", 7_088_234_663_821_022_127));
    }

    #[test]
    fn names_are_unique_and_targets_exist() {
        for seed in [0, 1, u64::MAX] {
            let packages = packages(20_000, seed);
            let names: HashSet<&str> = packages.iter().map(|p| p.name.as_str()).collect();
            assert_eq!(names.len(), 20_000);
            for package in &packages {
                assert!(is_name(&package.name), "{}", package.name);
                let targets: HashSet<&String> = package.dependencies.iter().collect();
                assert_eq!(targets.len(), package.dependencies.len());
                assert!(targets.iter().all(|t| names.contains(t.as_str()) && **t != package.name));
            }
        }
    }

    #[test]
    fn few_sections_words_and_targets_make_most_of_it() {
        let packages = packages(20_000, 1);
        let share = |counts: HashMap<&str, usize>| {
            let total: usize = counts.values().sum();
            (counts.values().max().unwrap() * 100 / total, counts.len())
        };
        let mut sections: HashMap<&str, usize> = HashMap::new();
        let mut targets: HashMap<&str, usize> = HashMap::new();
        for package in &packages {
            *sections.entry(&package.section).or_default() += 1;
            package.dependencies.iter().for_each(|t| *targets.entry(t).or_default() += 1);
        }
        let (largest, sections) = share(sections);
        assert!((8..40).contains(&largest) && sections > 20, "{largest} % of {sections}");
        let (most, targets) = share(targets);
        assert!((2..20).contains(&most) && targets > 2000, "{most} % of {targets}");
    }

    #[test]
    fn the_largest_catalogue_can_be_named() {
        assert_eq!(packages(crate::package::PACKAGES_MAX, 1).len(), crate::package::PACKAGES_MAX as usize);
    }
}
